package registration

import (
	"encoding/hex"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Request is what an operator needs to register a signer.
type Request struct {
	ChainID  string `json:"chain_id"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	// PubKey, Signature, RecipientKey, RecipientIndex and Possession are the arguments of
	// register-signer, in hex but for the index.
	PubKey         string `json:"pub_key"`
	Signature      string `json:"signature"`
	RecipientKey   string `json:"recipient_key"`
	RecipientIndex uint32 `json:"recipient_index"`
	Possession     string `json:"possession"`
	// PeerID is by what the other signers know this one.
	PeerID string `json:"peer_id"`
	// Command is the transaction to run where the operator's key is; the fee is for the operator to
	// add.
	Command string `json:"register_command"`
}

// NewRequest signs for a registration with the mnemonic's recipient key at an index: 0 for the
// first one.
func NewRequest(
	c home.Config, key *signer.Key, mnemonic *sanity.Mnemonic, index uint32,
) (*Request, error) {
	operator, err := c.OperatorAddress()
	if err != nil {
		return nil, err
	}
	recipient, err := signer.DeriveRecipient(mnemonic, index)
	if err != nil {
		return nil, err
	}
	defer recipient.Wipe()
	possession, err := recipient.Possess(c.ChainID, key.Address())
	if err != nil {
		return nil, err
	}
	registered := types.Recipient{Key: recipient.Public(), Index: index}
	signature, err := key.Sign(types.RegisterMessage(c.ChainID, operator, key.PubKey(), registered))
	if err != nil {
		return nil, err
	}
	peer, err := tss.PeerID(key.PubKey())
	if err != nil {
		return nil, err
	}
	r := &Request{
		ChainID: c.ChainID, Operator: c.Operator, Address: key.Bech32(c.Prefix),
		PubKey: hex.EncodeToString(key.PubKey()), Signature: hex.EncodeToString(signature),
		RecipientKey: hex.EncodeToString(recipient.Public()), RecipientIndex: index,
		Possession: hex.EncodeToString(possession), PeerID: peer,
	}
	account, err := bech32.ConvertAndEncode(c.Prefix, operator)
	if err != nil {
		return nil, err
	}
	r.Command = fmt.Sprintf(
		"tssbackupd tx tssbackup register-signer %s %s %s %d %s --from %s --chain-id %s",
		r.PubKey, r.Signature, r.RecipientKey, r.RecipientIndex, r.Possession, account, c.ChainID)
	return r, nil
}
