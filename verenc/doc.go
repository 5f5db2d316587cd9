// Package verenc proves that a ciphertext holds a keyshare.
//
// A member of a vault encrypts its share x of the vault key under its own recipient key, which
// comes from its mnemonic, and proves to everyone who knows the public point X = x·G that the
// ciphertext holds that very x. Whoever verified such proofs of t+1 members, and the list of the
// members' public points ([List.Check]), knows that t+1 recipient keys and the stored proofs
// rebuild the vault key, whatever the members' machines do later. What is not proven: that an
// operator still has the mnemonic behind a recipient key. A possession proof
// ([RecipientKey.Possess]) shows that it had it once.
//
// The way of a proof:
//
//	seed, index ── NewRecipientKey ──► RecipientKey ── Possess ──► registered ── VerifyPossession
//	RecipientKey, label, shares ── Prove ──► proof ── Verify ──► Stored
//	Stored ── Stored.Open ──► shares ── Combine ──► vault key
//
// A proof is cut-and-choose over 256 rows that come from a seed tree: 226 are opened by their seeds
// and recomputed, 30 stay closed and each of them alone gives the share to the holder of the
// recipient key. The chance to cheat is 1/C(256,30), below 2⁻¹²⁹, per hash evaluation. One proof
// covers a secp256k1 share, an ed25519 share, or one of each; it has at most 3,013 bytes for one
// share and 3,973 for two, and what must be kept of it for ever has 1,989 or 2,949.
//
// What a caller must know:
//
//   - A proof is made once. Store its bytes before they are sent and send the same bytes again: two
//     different answers from one set of rows would give the share away. [Prove] draws fresh
//     randomness and mixes the share into it, so that not even a broken random source makes it
//     answer two challenges from one tree.
//   - [Verify] and [List.Check] are meant for consensus: they use integers alone, no clock and no
//     randomness, and their verdict is the same on every platform. They take time in proportion to
//     the work and not to the length of hostile input; a caller still charges for them before they
//     run.
//   - [Verify] spreads its rows over idle cores: beside the callers' goroutines it starts others
//     while no more than GOMAXPROCS are at work over all calls. What it returns does not depend on
//     how many there are, and a panic in any of them is one in the caller's goroutine, where a
//     recover catches it. [List.Check] uses one goroutine.
//   - A context binds a proof to a label, a recipient key and public points. It is kept with the
//     stored form and never computed anew, so opening does not depend on how a chain is called
//     later.
//   - Secrets live in [RecipientKey] and [Share], which redact themselves when printed or encoded
//     and have a Wipe method. Operations on edwards25519 secrets take constant time. Those on
//     secp256k1 secrets do not where they multiply points, because the library has no such
//     multiplication: do not make proofs or open them where others can time the process closely. Go
//     may have copied a secret before it was wiped.
//
// The package knows nothing of any chain. Its bytes are fixed by the suite number; a change of any
// byte is a new suite.
package verenc
