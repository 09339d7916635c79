// Package history says what a write changed, before and after, in words.
package history
