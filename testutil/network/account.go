package network

import (
	"crypto/sha256"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Addresses is how a chain writes addresses, and where it derives accounts. What is empty is as on
// the demo chain.
type Addresses struct {
	// Prefix begins the addresses of accounts, as "cosmos" does, and OperatorPrefix those of
	// operators: Prefix and "valoper", if it is empty.
	Prefix, OperatorPrefix string
	// HDPath is where a mnemonic's key is derived, as m/44'/118'/0'/0/0.
	HDPath string
}

// withDefaults is all of it.
func (a Addresses) withDefaults() Addresses {
	if a.Prefix == "" {
		a.Prefix = app.Bech32Prefix
	}
	if a.OperatorPrefix == "" {
		a.OperatorPrefix = a.Prefix + sdk.PrefixValidator + sdk.PrefixOperator
	}
	if a.HDPath == "" {
		a.HDPath = hd.CreateHDPath(sdk.CoinType, 0, 0).String()
	}
	return a
}

// Account is a key that signs transactions.
type Account struct {
	// Mnemonic holds 24 words in their normal form.
	Mnemonic string
	Key      cryptotypes.PrivKey

	addresses Addresses
}

// NewAccount makes the account of the demo chain that follows from the name.
func NewAccount(name string) Account { return Addresses{}.NewAccount(name) }

// NewAccount makes the account that follows from the name.
func (a Addresses) NewAccount(name string) Account {
	entropy := sha256.Sum256([]byte("tssbackup/testutil/network/" + name))
	mnemonic, err := bip39.NewMnemonic(entropy[:])
	if err != nil {
		panic(err) // 32 bytes are an entropy
	}
	key, err := hd.Secp256k1.Derive()(mnemonic, "", a.withDefaults().HDPath)
	if err != nil {
		panic(err)
	}
	return Account{Mnemonic: mnemonic, Key: hd.Secp256k1.Generate()(key), addresses: a}
}

// newConsensusKey makes the ed25519 key that follows from the name.
func newConsensusKey(name string) crypto.PrivKey {
	return ed25519.GenPrivKeyFromSecret([]byte("tssbackup/testutil/network/" + name))
}

// Address is the account's raw address.
func (a Account) Address() sdk.AccAddress { return sdk.AccAddress(a.Key.PubKey().Address()) }

// Bech32 is the account's address as it is written.
func (a Account) Bech32() string {
	return a.write(a.Address())
}

// write writes an address as the account's chain does.
func (a Account) write(address sdk.AccAddress) string {
	return sdk.MustBech32ifyAddressBytes(a.addresses.withDefaults().Prefix, address)
}

// Operator is the address of the operator that the account is, as it is written.
func (a Account) Operator() string {
	return sdk.MustBech32ifyAddressBytes(a.addresses.withDefaults().OperatorPrefix, a.Address())
}

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
	operator Account,
	index uint32,
) (*types.MsgRegisterSigner, error) {
	pubKey, key := a.Key.PubKey().Bytes(), a.Recipient(index)
	recipient := types.Recipient{Key: key.Public(), Index: index}
	signature, err := a.Key.Sign(types.RegisterMessage(
		chainID, operator.Address().Bytes(), pubKey, recipient,
	))
	if err != nil {
		return nil, err
	}
	possession, err := key.Possess(chainID, a.Address())
	return &types.MsgRegisterSigner{
		Operator: operator.Operator(), PubKey: pubKey, Signature: signature,
		RecipientKey: recipient.Key, RecipientIndex: index, Possession: possession,
	}, err
}

// OperatorAddress is the validator's operator address as it is written.
func (v *Validator) OperatorAddress() string {
	return v.Operator.Operator()
}
