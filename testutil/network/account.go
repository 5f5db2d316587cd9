package network

import (
	"crypto/sha256"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/tyler-smith/go-bip39"
)

// hdPath is where the accounts' keys are derived: bifrost's default.
const hdPath = "m/44'/118'/0'/0/0"

// Account is a key that signs transactions.
type Account struct {
	// Mnemonic holds 24 words in their normal form.
	Mnemonic string
	Key      cryptotypes.PrivKey
}

// NewAccount makes the account that follows from the name.
func NewAccount(name string) Account {
	entropy := sha256.Sum256([]byte("tssbackup/testutil/network/" + name))
	mnemonic, err := bip39.NewMnemonic(entropy[:])
	if err != nil {
		panic(err) // 32 bytes are an entropy
	}
	key, err := hd.Secp256k1.Derive()(mnemonic, "", hdPath)
	if err != nil {
		panic(err)
	}
	return Account{Mnemonic: mnemonic, Key: hd.Secp256k1.Generate()(key)}
}

// newConsensusKey makes the ed25519 key that follows from the name.
func newConsensusKey(name string) crypto.PrivKey {
	return ed25519.GenPrivKeyFromSecret([]byte("tssbackup/testutil/network/" + name))
}

// Address is the account's raw address.
func (a Account) Address() sdk.AccAddress { return sdk.AccAddress(a.Key.PubKey().Address()) }

// Bech32 is the account's address as it is written.
func (a Account) Bech32() string { return a.Address().String() }

// OperatorAddress is the validator's operator address as it is written.
func (v *Validator) OperatorAddress() string {
	return sdk.ValAddress(v.Operator.Address()).String()
}
