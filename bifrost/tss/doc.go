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
// The session of a keygen comes with the request: its members have joined it on chain, each with a
// nonce and a session key, so that all know the same one and when it began. A member that restarts
// joins the next. The members of a signature join here. Each member says hello to each other,
// signed: the ceremony's name, a hash of all that they must agree on (members, threshold, vault,
// message), a nonce, and a key for this session with a proof that it is the member's. When it has
// heard the same hash from all it names the session, a hash over all nonces and keys, and starts
// when all have named the same one. So members may start at different times, and a member that
// restarts before the start comes in with its new nonce. At the join's timeout those are blamed who
// did not come or came with another hash. Whatever follows is signed for the session: a message of
// another ceremony, or of another attempt at this one, is not accepted.
//
// A link to a member keeps all it has said, and says it all again when the connection had to be
// made anew; what was heard already is passed over. A broken connection therefore costs time and no
// ceremony.
//
// # Messages
//
// Every message is signed by its author for its slot: session, protocol, step, author, receiver.
// Whoever has it may pass it on, and who lacks it asks all, so two members that cannot reach each
// other hear of each other by the rest. What nobody else could check is passed over and proves
// nothing: malformed bytes, a wrong signature, a frame too many.
//
// All messages of a keygen are broadcasts. The shares among them are encrypted to their receivers,
// all of an author's in one list, so that who withholds one withholds them all. A signature also
// has messages to one member alone.
//
// # Agreement on broadcasts
//
// The proofs of these protocols hold only if a member tells everybody the same, and a verdict holds
// only if all honest members come to the same. So they agree on every broadcast as Dolev and Strong
// do ("Authenticated algorithms for Byzantine agreement", 1983). Who gets one puts its own
// signature under it, an echo, and sends that to the others. A round has an end. After it follow
// phases, n − ⌈2n/3⌉ + 1 of them, each a tenth of a round long, and in phase k a message counts
// only with k signatures of others under it. The first honest member that takes one adds its own
// and passes all on, so the others have it one phase later; and a signature for the last phase is
// an honest one, since there are not that many of the others. After the last phase all honest
// members have the same: nothing, one version, or the author's signatures under two.
//
// tss-lib sees a broadcast when all members have echoed it, which without trouble is at once, or
// after the last phase. Who does not echo costs time and nothing else.
//
// This takes that honest members begin within a phase of each other, as they see the block in which
// the session began, that two of them reach each other, through others at worst, within a phase,
// that an honest member says what it has to in its round, and that at most n − ⌈2n/3⌉ are
// malicious.
//
// # Who joins anew
//
// A member that starts anew joins the next attempt, on chain, and says nothing more in this one.
// Who has known of that for two phases says so to all, signed, and when all others say so the
// attempt ends for all of them, with the blame of who left: a crash costs some phases, and not all
// rounds (docs/adr/0014-joins-on-chain.md).
//
// # The verdict of a keygen
//
// A keygen fails in the first round that has a fault, after its last phase; all honest members name
// all of its faults, and by the above the same ones:
//
//   - no message, or two versions of one;
//   - a message that is no good, by itself or beside what its author sent before: what is in a
//     broadcast all members check, and before tss-lib gets it;
//   - a share that does not decrypt or does not fit what its author committed to. Its receiver says
//     so in its receipt, with the secret of the two session keys and a proof that it is theirs, and
//     everybody opens the same share. Where it is right, the accuser is named. That secret belongs
//     to an attempt that is over.
//
// Where at most one member can be malicious (up to five members) all of this is known as soon as
// all have a message that is no good, and nobody waits for the phases.
//
// # The end of a keygen
//
// A member whose result of both keys is complete and checked has it kept, which makes it durable,
// and then says done: it signs, with its signer's key, the 32 bytes that it got for keeping it and
// that are the same at all honest members. A done is agreed on as every other broadcast is, in a
// round of its own after the last. All members' signatures are the certificate, with which a keygen
// ends; a done that is missing in what was agreed on, malformed or not of this result is a fault.
//
// What is agreed on is whether there was a good done, and nothing that comes later takes one away.
// So who has all of them, and has passed them on, is finished at once: all other honest members
// will have them. For the same reason who has said done waits for the end of the round before it
// names anybody, also for what comes out about earlier rounds: by then either all have a whole
// certificate or nobody honest has. A malicious member that keeps its own done back is named by all
// and has all signatures nevertheless; it can show them, and the honest have their results.
//
// A member that cannot keep its result ends with that error. The others miss its done and name it.
//
// Where the members hold each other's envelopes (docs/adr/0028-placement.md) there is one more
// round before: who is asked for an envelope seals its result and broadcasts that. What is kept is
// then the result with the envelopes of all, so a certificate also says that each member holds
// each other's. An envelope that is missing, not one, or there in two versions is a fault. Members
// of a reshare that deal and get nothing have no part in these last rounds, and are sent nothing of
// them.
//
// # Reshares
//
// A reshare hands a vault's keys from the members of one epoch to those of the next. It is a keygen
// in which some deal and some get shares, and those of the second epoch may be of the first too.
// Each dealer deals its share of the key instead of a random number, and opens it: that it is its
// own all see, because its public share is in state. A dealer that gets nothing ends with the
// receipts; those who get shares sign that they kept theirs.
//
// # Blame for a signature
//
// A signature blames only locally, and at once: who finds a message to be no good, or lacks it
// after its round, names its author and tells the others that it gives up. They wait a phase for a
// fault that they find themselves, and then end with an error that names nobody.
//
// A message is looked at before tss-lib gets it: that it cannot make tss-lib panic (tss-lib
// computes in goroutines of its own, where a panic would end the process), that its numbers are in
// the ranges of an honest author's, and that it fits what its author sent before. A part of an
// ed25519 signature is checked against the author's public share.
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
// The parameters in a keyshare that comes from elsewhere are proven before a signature: by all
// signers, bound to its session, and before tss-lib begins. Who asks for a signature says so when
// that was done in the keygen.
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
