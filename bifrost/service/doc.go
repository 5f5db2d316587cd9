// Package service is a running bifrost: it holds the signer's key, waits until the signer is
// registered on chain, and then runs the ceremonies of its vaults, the publication of their
// backups, the care for its keyshares, and the making of pre-parameters, until its context ends. It
// wires these together; what each does is in a package of its own. Here are the control socket, the
// status that joins the problems of all parts, the signing of texts, and the metrics.
//
// The control socket speaks HTTP: GET /v1/status tells how it goes, POST /v1/sign joins the signing
// of a text with a vault. What is signed is always the hash of a text behind a prefix of its own,
// so it can never be a transaction.
package service
