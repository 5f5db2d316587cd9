// Command recover-keyshares gets a member's keyshares back from the chain: with a node's address
// and the 24 words, and nothing else.
package main

import "github.com/tssbackup/tssbackup/bifrost/command"

// version is set by the linker in releases.
var version = ""

var program = command.Program{
	Name: "recover-keyshares", Version: version, Root: newRoot, Code: codeOf,
}

func main() { program.Main() }
