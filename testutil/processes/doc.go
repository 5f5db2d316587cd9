// Package processes runs a network as its operators do: validators and their signers from the built
// binaries, each a process of its own with its files in one folder. A process can be killed at any
// time and started again with what it has on the disk.
//
// For tests in which the chain may live in the test's own process, package network is quicker.
package processes
