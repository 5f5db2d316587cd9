// Package keystore writes secret files so that they are either there whole, readable by their owner alone and safe
// against a power cut, or not there at all.
//
// Three things make that so. A file is written under a temporary name in the folder it belongs to, flushed to the disk,
// and only then given its name; the folder is flushed after that. The name is given with a hard link, which never
// replaces anything: a file that is there already is compared, found equal or left exactly as it was. And whoever writes
// into a folder holds a lock on it, so that what looks like the leftover of a crash is one, and may be removed.
//
// A [Store] keeps the keyshare files of one member. Its Save takes all files of a vault and keeps all of them or none: they are
// gathered in a hidden folder whose renaming is the one moment at which the save happens; a process that dies after this
// moment finds the files in their places when it, or another, next uses the folder.
//
// Files are made with mode 0600 and folders with 0700. A symbolic link in the place of a file is refused. The folder itself
// may be reached through one, which is how operators move data to another disk. The folder must be on a file system with
// hard links; one without (FAT) could not keep a file private either.
package keystore
