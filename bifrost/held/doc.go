// Package held keeps the envelopes of all members of this signer's vaults, and gives them to the
// members: where a vault's placement is members, no block and no archive has them.
//
// A [Store] is the folder with the envelopes of each epoch. What a ceremony made is put there
// before the member signs that it is done, so that the certificate says of every member that it
// holds the envelopes of all.
package held
