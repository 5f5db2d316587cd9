// Package service is a running bifrost: it holds the signer's key, waits until the
// signer is registered on chain, and then runs the ceremonies of its vaults, the
// publication of their backups, and the making of pre-parameters, until its
// context ends. Before that, and after each churn, it restores the keyshares of
// live vaults that are not on the disk; from time to time it drills that for those
// that are. What decides about that, it has proven. [Doctor] examines a bifrost whether it runs or not.
//
// Everything is in one home, as package home lays it out.
//
// The control socket speaks HTTP: GET /v1/status tells how it goes, POST /v1/sign
// joins the signing of a text with a vault. What is signed is always the hash of a
// text behind a prefix of its own, so it can never be a transaction.
package service
