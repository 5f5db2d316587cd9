// Package keystore keeps the keyshare files of one member in a folder.
//
// A [Store]'s Save takes all files of a vault and keeps all of them or none: they are gathered in a
// hidden folder whose renaming is the one moment at which the save happens; a process that dies
// after this moment finds the files in their places when it, or another, next uses the folder. Each
// change is a step of package durable, with what that promises.
package keystore
