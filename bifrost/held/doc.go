// Package held keeps the envelopes of all members of this signer's vaults, and gives them to the
// members: where a vault's placement is members, no block and no archive has them.
//
// A [Store] is the folder with the envelopes of each epoch. What a ceremony made is put there
// before the member signs that it is done, so that the certificate says of every member that it
// holds the envelopes of all.
//
// A [Server] gives them out, and keeps what a member brings of its own later, to and of members of
// epochs that live alone: who a member is, its connection proves. A [Client] asks. It is never told
// anything that it does not check: an envelope is named by its hash. Its streams are those of the
// signer's own node, or of a [Dialer], which needs nothing but the signer's key.
package held
