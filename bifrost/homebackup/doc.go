// Package homebackup makes and reads backups of a home, in a folder.
//
// Keyshares never change, so a backup is a manifest over objects:
//
//	<store id>/objects/<SHA-256 of the age file>.age
//	<store id>/manifests/<sequence>-<first 16 hex digits of its SHA-256>.age
//
// An object is one file of the home, sealed once. A [Manifest] names all that was in the home at
// one time, and is written last: it is the backup. So the second backup costs what changed, there
// is no chain of increments to break, and any manifest alone is enough. docs/format.md has the
// bytes.
//
// A store is what one home has in one folder. Its id is random, and the home remembers it, with the
// manifest that it wrote last. A home that finds one in its store that it did not write was copied:
// it leaves the store to the other and begins one of its own. A keyshare that a manifest names is
// named by all later ones of its store, whatever becomes of the file in the home.
//
// Nothing here replaces a file in the folder, and only [Prune] removes any. What a write that was
// cut off leaves behind counts for nothing.
package homebackup
