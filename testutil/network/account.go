package network

import (
	"crypto/sha256"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
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

// Recipient is the recipient key of the account's mnemonic at an index.
func (a Account) Recipient(index uint32) *verenc.RecipientKey {
	key, err := verenc.NewRecipientKey(bip39.NewSeed(a.Mnemonic, ""), index)
	if err != nil {
		panic(err)
	}
	return key
}

// Registration is the message by which an operator registers the account as its signer, with the
// recipient key at an index.
func (a Account) Registration(
	chainID string,
	operator sdk.ValAddress,
	index uint32,
) (*types.MsgRegisterSigner, error) {
	pubKey, key := a.Key.PubKey().Bytes(), a.Recipient(index)
	recipient := types.Recipient{Key: key.Public(), Index: index}
	signature, err := a.Key.Sign(types.RegisterMessage(chainID, operator, pubKey, recipient))
	if err != nil {
		return nil, err
	}
	possession, err := key.Possess(chainID, a.Address())
	return &types.MsgRegisterSigner{
		Operator: operator.String(), PubKey: pubKey, Signature: signature,
		RecipientKey: recipient.Key, RecipientIndex: index, Possession: possession,
	}, err
}

// OperatorAddress is the validator's operator address as it is written.
func (v *Validator) OperatorAddress() string {
	return sdk.ValAddress(v.Operator.Address()).String()
}
