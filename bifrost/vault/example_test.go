package vault_test

import (
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// People name a vault by the beginning of its name.
func Example() {
	names := []string{
		"02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
		"02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
	}
	name, err := vault.Pick("02f9308a", names)
	fmt.Println(vault.Short(name), err)
	_, err = vault.Pick("03f9308a", names)
	fmt.Println(errors.Is(err, vault.ErrUnknown))
	// Output:
	// 02f9308a0192… <nil>
	// true
}
