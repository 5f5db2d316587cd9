// Package durable writes files that must survive: each is there whole, readable by its owner alone
// and safe against a power cut, or not there at all. It is the one place of this project that does.
//
// Three things make that so. A file is written under a temporary name in the folder that it belongs
// to, flushed to the disk, and only then given its name; the folder is flushed after that. [Write]
// gives the name with a hard link, which never replaces anything: a file that is there already is
// compared, found equal or left exactly as it was. And whoever writes into a folder holds a lock on
// it, so that what looks like the leftover of a crash is one, and may be removed.
//
// Who has more to do in a folder than writing one file locks it ([Lock], [Make]) and puts the steps
// of a [Folder] together. Many files are written in little more time than one by [Folder.PlaceAll].
//
// Files are made with mode 0600 and folders with 0700. A symbolic link in the place of a file is
// refused. The folder itself may be reached through one, which is how operators move data to
// another disk.
//
// File systems on sticks and of networks lack some of this. Without hard links a file is renamed
// where the system can do so without replacing anything; without flushes of one file everything is
// flushed; without locks the threads of one process are kept apart, and others fail rather than do
// harm. Only what would not be as safe is refused, and [TryFolder] says so beforehand. Where
// permissions are the mount's, as on FAT, nothing here makes a file private.
//
// Every change to a disk is one of a few steps, and tests let each of them fail: see [Inject].
package durable
