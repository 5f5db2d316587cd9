module github.com/tssbackup/tssbackup/verenc

go 1.24

require (
	filippo.io/edwards25519 v1.1.0
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.0
	github.com/stretchr/testify v1.10.0
	github.com/tssbackup/tssbackup/testutil/fixture v0.1.0
	github.com/tyler-smith/go-bip39 v1.1.0
	pgregory.net/rapid v1.2.0
)

require (
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	golang.org/x/crypto v0.0.0-20200622213623-75b288015ac9 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
