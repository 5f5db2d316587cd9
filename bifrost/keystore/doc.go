// Package keystore keeps the keyshare files of one member, sealed.
//
// A [Store] is the folder keyshares of a home:
//
//	<epoch>/localstate-<public key>.json.age   the keyshares of an epoch
//	unplaced/                                  those of which the epoch is not known yet
//	damaged/                                   files that did not hold what they should, kept
//
// Each file is an age file to the home's own identity, which follows from the mnemonic, and to the
// recipients that the operator has configured. Stock age opens it. Files are written once and never
// change, but for [Store.Reseal]. The name of a folder or of a file decides nothing: whose a
// keyshare is, and of which vault and epoch, its reader checks against the chain's record.
//
// Saving takes all files of a vault and keeps all of them or none: they are gathered in a hidden
// folder whose renaming is the one moment at which the save happens; a process that dies after this
// moment finds the files in their places when it, or another, next uses the folder. Each change is
// a step of package durable, with what that promises.
//
// What this protects: copies of the files, such as snapshots and discarded disks, from whoever does
// not have the mnemonic. With the mnemonic beside them it protects nothing else.
package keystore
