// Package publish is bifrost's loop: from an open keygen to a backup whose commitment stands in
// state.
//
// The loop polls, because events can be missed, and takes every keygen through the same steps. Each
// step ends with a record in the outbox (package outbox) that is on the disk before the next step
// begins, so that a bifrost that is killed at any point goes on where it was:
//
//	step       made by           what the record says then
//	(none)                       the keygen may be run; whom an attempt failed by, if one did
//	result     keep              the vault's keys and its keyshares are in it: this member may
//	                             sign for the result, and the keygen may still fail
//	certified  keygen, adopt     all members have signed for it
//	saved      keepResult        the keyshares are in their store
//	proven     prove             so is the proof that the shares are encrypted to the
//	                             recipient key of this member's mnemonic; a member that is
//	                             not asked makes none
//	message    result, giveUp    the vote is fixed: a result with its envelope and proof, or that
//	                             the keygen has failed
//	tx         signTx            the vote is signed for a sequence of the account
//	done       settle            the vote stands in state
//
// A later publication, of a live vault whose backup is missing, has a record of its own and takes
// the steps from proven on.
//
// A keyshare file is parsed and checked before this member signs for the result; once more before
// it is stored, as the record holds it; once for the proof and the message together, so that what
// is proven is what is sealed; and whenever it is read to sign with it.
//
// What follows from the steps holds whatever happens in between: no keygen is run a second time
// once it has a certificate, a vote never leaves without its backup and its proof, and an envelope
// or a proof that may have been sent is never replaced by another one: two proofs from the same
// secrets would be one too many (see package verenc), so the one that is stored is sent byte for
// byte, by the vote and by a later publication. A record of a keygen that closed stays among the
// closed ones: a node that lags behind may show the keygen as open once more. Keyshares are never
// deleted, those of failed keygens neither: they are useless then, but the one who deletes
// keyshares by rule will delete the wrong ones by mistake.
//
// A result is both of the vault's keys and the public shares of all members, which follow from the
// keyshares and are the same for each of them. All members sign for it, each once it has kept its
// keyshares, and all signatures together are the certificate, which the first votes carry. Whoever
// has it first, and however late: what a member signed for it has kept, so it takes the result that
// the chain has a certificate of.
//
// In a split keygen the group part takes the place of the public shares: what the keyshares of all
// members have in common. One vote carries it, together with the certificate, and the others name
// it by its hash; the members take turns to carry it, see carryGroup. An envelope holds a member's
// own secrets alone then. Where these and the group part are not its keyshares again, byte for
// byte, it holds the keyshares whole.
//
// # Reshares
//
// A reshare gives a vault that exists another epoch. It is a keygen to the chain, and here: members
// of the next epoch take the same steps, with another ceremony. What is handed on is verified, and
// a member that may deal has its keyshares of the present epoch, or it does not join. Who deals and
// is no member of the next epoch has no record: it votes on nothing, and gets nothing. The files of
// an attempt take the place of those of the one before, which have the same names.
//
// # Failures
//
// A keygen that fails because of other members is tried again as long as attempts may begin, and a
// member that only restarts is back in time. When no certificate can come to stand any more, the
// vote is a blame of those who failed the last attempt, as the record has it since then, or did not
// come to it, and of nobody when that is not known, or the last one came to its end and too late.
// Nobody gives up by a state that is older than the last block for a certificate: the vote would be
// refused, and is for ever. A keygen that fails here (the disk, the memory) is tried again too,
// said loudly in the log, the metrics and the status, and ends in a vote that names nobody: blame
// is for others. Sealing and proving are tried again until the deadline: without an envelope and a
// proof there is no vote for a result.
//
// A member whose keyshares of a certified result are gone cannot make up for it, and says so. It is
// silent then: recovery brings back what was published, and this was not.
//
// A later publication carries the proof as long as the chain holds none. When it can never be made,
// because the mnemonic is not that of the recipient key or the members agreed on other public
// shares, that is said loudly and the envelope goes alone: the vault lives already.
//
// The signatures over the check message are made beside all this, from the certificate on, by sets
// of members that take turns (package rotation), and the first that comes to stand is enough. A set
// that fails tries again, a few times in its window; whom a signing failed by is in the log alone.
package publish
