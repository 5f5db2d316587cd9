// Command bifrost is the signer beside a validator: it holds the signer's mnemonic and keyshares,
// makes vaults and signatures with the other signers, and publishes the encrypted backup of every
// keyshare.
package main

import "github.com/tssbackup/tssbackup/bifrost/command"

// version is set by the linker in releases.
var version = ""

var program = command.Program{
	Name: "bifrost", Version: version, Root: newRoot, Code: codeOf,
}

func main() { program.Main() }
