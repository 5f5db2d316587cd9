// Package keyshare reads, checks and writes the files in which go-tss keeps a member's keyshare,
// and the bech32 forms of the keys in them and in their names.
//
// A file holds one share of one key; a vault has two, one of its secp256k1 key and one of its
// ed25519 key. Its form is
//
//	{"pub_key", "local_data", "participant_keys", "local_party_key"}
//
// where local_data is the base64 of the JSON of tss-lib's LocalPartySaveData (older files hold that
// JSON as an object), and the keys are bech32: <prefix>pub1addwnpep… for secp256k1,
// <prefix>pub1zcjduepq… for ed25519. The party of a member in tss-lib's sense is the integer that
// its 33-byte compressed public key spells, and parties are sorted by it.
//
// The bytes of a file are the unit of backup: nothing here writes a parsed file back, and a caller
// who passes a file on passes on the bytes that it read.
package keyshare
