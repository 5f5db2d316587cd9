// Package tss lets the members of a vault generate its keys and sign with them: GG18/GG20 ECDSA
// over secp256k1 and threshold EdDSA over ed25519, both from tss-lib, over libp2p.
//
// A [Node] has one identity, its signer's key: a member's peer id, its party in tss-lib and the key
// by which ceremonies name it are the same 33 bytes. All members call [Node.Keygen], or
// [Node.Keysign], with the same request at about the same time; each call returns that member's
// result, or a [*ceremony.BlameError] that names who made the ceremony fail.
//
// # Who may connect
//
// The members of the ceremonies that this node takes part in at the moment, known by the key with
// which they secure the connection. Everybody else is refused before a byte of a ceremony is read,
// also peers from the configuration, which only says where they are.
//
// # The join
//
// Each member tells each other the ceremony's name, a hash of all that they must agree on (members,
// threshold, vault, message) and a nonce, and when it has heard the same hash from all, the
// session: a hash over the nonces. It starts when all have named one session. So members may start
// at different times, and a member that restarts before the start comes in with its new nonce. At
// the join's timeout those are blamed who did not come or came with another hash. Whatever follows
// is bound to the session: a message of another ceremony, or of another attempt at this one, is not
// accepted. A member that restarts later is blamed, since what it had sent before cannot be
// continued.
//
// A link to a member keeps all it has said, and says it all again when the connection had to be
// made anew; what was heard already is passed over. A broken connection therefore costs time and no
// ceremony.
//
// # Reliable broadcast
//
// The proofs of these protocols hold only if a member tells everybody the same. So an author signs
// its broadcasts, over the session, the protocol, the step and the hash of the content; every
// receiver sends the hash on to every other, with the author's signature and its own (an echo); and
// tss-lib sees a broadcast only after the echoes of all others agree with it. When two honest
// members are given different contents, each gets the other's echo before it goes on, and one of
// two things holds:
//
//   - the echo's hash carries the author's signature. Then the author signed two contents for one
//     step, which the two signatures prove to anybody, and it is blamed;
//   - it does not. Then the echoer put its own name under a lie, which its signature proves, and it
//     is blamed. A liar cannot frame an author, because it cannot sign for it.
//
// Whoever holds such a proof sends it to all when it gives up, so all blame the same member. A
// broadcast that its author sent to some only is passed on by those, on request, and then counts as
// sent.
//
// # Blame, and its limits
//
// A member that has nothing to compute and hears nothing new for half of the round timeout tells
// the others what it waits for, and at the whole blames. It knows the schedule of each protocol, so
// it names what is missing, of the first round that is incomplete. A member that lacks a message
// because it is itself waiting, for others who are missing too, is not blamed for that.
//
// A message to one member alone cannot be echoed. When B says that A did not send it one, or sent
// one that tss-lib refuses, a third member C cannot tell who of the two is at fault, and blames
// both, unless so many point at A (a third of the members, and one more) that an honest one must be
// among them. One malicious member can thus have one honest member blamed along with itself, never
// one alone, and not both stay. The same goes for a pair of honest members whose network does not
// connect them.
//
// A message is looked at before tss-lib gets it: that it cannot make tss-lib panic (tss-lib
// computes in goroutines of its own, where a panic would end the process), that its numbers are in
// the ranges of an honest author's, and that it fits what its author sent before. A part of an
// ed25519 signature is checked against the author's public share. Whoever sent what does not pass
// is named by everybody who got it.
//
// Who spoilt a secp256k1 signature cannot be told when the last parts, or the thetas, fit all that
// can be checked and are wrong; such a ceremony ends with an error that blames nobody. So does one
// in which tss-lib panics all the same while it computes with the messages of several.
//
// # Parameters
//
// In a keygen each member first commits to its round 1, so that nobody can copy what it has not
// seen. Then it sends it with a proof for both of its moduli (package pimod), bound to session and
// author. Only when all are verified does tss-lib see any of them. docs/tss.md goes through what
// tss-lib verifies, what it leaves out, and what is added here.
//
// A blame is what one member saw. It takes many, on chain, to act on it.
//
// # Secrets
//
// Random numbers of a ceremony come from the system, the session and the share together, so that a
// virtual machine that is resumed twice uses no nonce in two sessions. Two copies that are resumed
// in the middle of one session are one member that says two things: nothing here can help against
// that.
//
// Logs and errors name members, steps and reasons. Nothing in them is secret. tss-lib makes no
// promise of constant time or of wiping memory, so the process's memory must be taken for as
// sensitive as its files.
package tss
