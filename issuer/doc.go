// Package issuer lets machines into a fleet: it makes join tokens, signs certificates
// for who has one, and renews certificates. It runs where the keys of the fleet's
// authorities are.
package issuer
