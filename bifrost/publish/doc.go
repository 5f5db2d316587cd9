// Package publish is bifrost's loop: from an open keygen to a backup whose commitment stands in
// state.
//
// The loop polls, because events can be missed, and takes every keygen through the same steps. Each
// step ends with a record in the outbox (package outbox) that is on the disk before the next step
// begins, so that a bifrost that is killed at any point goes on where it was:
//
//	step       made by           what the record says then
//	(none)                       the keygen may be run
//	result     keygen            the vault's keys and its keyshares are in it
//	saved      saveKeyshares     the keyshares are in their store
//	signed     sign              so are the vault's two signatures over the check message
//	proven     prove             so is the proof that the shares are encrypted to the
//	                             recipient key of this member's mnemonic; a member that is
//	                             not asked makes none
//	message    result, giveUp    the vote is final: a result with its envelope and proof,
//	                             or a blame
//	tx         signTx            the vote is signed for a sequence of the account
//	done       settle            the vote stands in state
//
// A later publication, of a live vault whose backup is missing, has a record of its own and takes
// the steps from proven on.
//
// A keyshare file is parsed and checked once after the ceremony, which is the ceremony's part; once
// for the proof and the message together, so that what is proven is what is sealed; and whenever it
// is read to sign with it.
//
// What follows from the steps holds whatever happens in between: no keygen is run a second time
// once it is saved, a vote never leaves without its backup and its proof, and an envelope or a
// proof that may have been sent is never replaced by another one: two proofs from the same secrets
// would be one too many (see package verenc), so the one that is stored is sent byte for byte, by
// the vote and by a later publication. A record of a keygen that closed stays among the closed
// ones: a node that lags behind may show the keygen as open once more. Keyshares are never deleted,
// those of failed keygens neither: they are useless then, but the one who deletes keyshares by rule
// will delete the wrong ones by mistake.
//
// A result is both of the vault's keys and the public shares of all members, which follow from the
// keyshares and are the same for each of them. A member that voted for the same keys with other
// public shares is named in the log.
//
// # Failures
//
// A keygen that fails because of other members is tried again until the deadline comes near: the
// chain closes a keygen early only when all members have voted, so patience costs nothing, and a
// member that only restarts is back in time. Then the vote is a blame of those who failed it last.
// A keygen that fails here (the disk, the memory, the sealing of the envelope, the proof) is tried
// again until the deadline, said loudly in the log, the metrics and the status, and never ends in a
// vote: blame is for others.
//
// A member whose record is lost after the others have finished cannot make up for it: at least as
// many others as the threshold have voted one result then, and it neither disturbs them with a
// second keygen nor blames them.
//
// A later publication carries the proof as long as the chain holds none. When it can never be made,
// because the mnemonic is not that of the recipient key or the members agreed on other public
// shares, that is said loudly and the envelope goes alone: the vault lives already.
//
// The signatures over the check message are made by all members. A member that misses them (it was
// down, or died before it had stored them) takes them from the vote of any other member, which
// holds them in its block, and verifies them under the vault's keys. Otherwise the signing is tried
// again, every other time without the members that failed it last as long as there are enough. When
// the deadline comes near and there are none, the vote is a blame of those who failed it last.
package publish
