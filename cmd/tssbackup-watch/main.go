// Command tssbackup-watch follows a chain by its validators' signatures, and shows everyone whether
// its vaults could be recovered. It believes no node, and holds nothing that knows a secret.
package main

import "github.com/tssbackup/tssbackup/bifrost/command"

// version is set by the linker in releases.
var version = ""

var program = command.Program{
	Name: programName, Version: version, Root: newRoot, Code: codeOf,
}

func main() { program.Main() }
