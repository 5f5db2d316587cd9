module github.com/tssbackup/tssbackup/bifrost/legacy

go 1.24

require (
	filippo.io/age v1.2.1
	github.com/stretchr/testify v1.10.0
	github.com/tssbackup/tssbackup/bifrost/envelope v0.1.0
	github.com/tssbackup/tssbackup/bifrost/keyshare v0.1.0
	github.com/tssbackup/tssbackup/sanity v0.1.0
	github.com/tssbackup/tssbackup/testutil/fixture v0.1.0
	github.com/ulikunitz/xz v0.5.15
	golang.org/x/crypto v0.38.0
	google.golang.org/protobuf v1.36.6
)

require (
	filippo.io/edwards25519 v1.1.0 // indirect
	github.com/cosmos/btcutil v1.0.5 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.0 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	github.com/tssbackup/tssbackup/verenc v0.1.0 // indirect
	github.com/tyler-smith/go-bip39 v1.1.0 // indirect
	golang.org/x/sys v0.33.0 // indirect
	golang.org/x/text v0.25.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
