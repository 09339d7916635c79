// Package history says what a write changed, before and after, and keeps who did what
// on the disk.
package history
