package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// FromInfo turns a vault as queries show it, in text, back into raw bytes. It errs when it is not
// what the module shows.
func FromInfo(info types.VaultInfo) (v Vault, err error) {
	v = Vault{Vault: types.Vault{
		Status: info.Status, Epoch: info.Epoch, ChurnId: info.ChurnId,
		Threshold: info.Threshold, Needed: info.Needed, ActiveHeight: info.ActiveHeight,
		RetiringHeight: info.RetiringHeight, RetiredHeight: info.RetiredHeight, Split: info.Split,
		Former: info.Former, EpochHeight: info.EpochHeight, GraceUntil: info.GraceUntil,
		Placement: info.Placement,
	}}
	if v.PubKey, err = decodeHex("vault", info.Vault, types.PubKeySize); err != nil {
		return v, err
	}
	if v.PubKeyEd25519, err = decodeHex(
		"ed25519 key",
		info.PubKeyEd25519,
		types.PubKeyEd25519Size,
	); err != nil {
		return v, err
	}
	if v.SharesHash, err = optional("shares hash", info.SharesHash, types.HashSize); err != nil {
		return v, err
	}
	if info.Group != nil {
		if v.Group, err = decodeGroupName(*info.Group); err != nil {
			return v, err
		}
	}
	v.Members, _, err = decodeMembers(info.Members)
	return v, err
}

func decodeGroupName(info types.GroupNameInfo) (*types.GroupName, error) {
	hash, err := decodeHex("group hash", info.Hash, types.HashSize)
	if err != nil {
		return nil, err
	}
	sum, err := decodeHex("SHA-256 of the group part", info.Sha256, types.HashSize)
	return &types.GroupName{Hash: hash, Sha256: sum, Height: info.Height}, err
}

func decodeMembers(infos []types.MemberInfo) ([]types.Member, []types.Recipient, error) {
	members := make([]types.Member, len(infos))
	recipients := make([]types.Recipient, len(infos))
	for i, m := range infos {
		var err error
		if members[i].PubKey, err = decodeHex(
			"member's key",
			m.PubKey,
			types.PubKeySize,
		); err != nil {
			return nil, nil, err
		}
		members[i].Asked = m.Asked
		recipients[i].Index = m.RecipientIndex
		recipients[i].Key, err = optional("recipient key", m.RecipientKey, types.PubKeyEd25519Size)
		if err != nil {
			return nil, nil, err
		}
	}
	return members, recipients, nil
}

// KeygenFromInfo turns a keygen as queries show it back into raw bytes. It errs as [FromInfo] does.
func KeygenFromInfo(info types.KeygenInfo) (k Keygen, err error) {
	k = Keygen{
		Keygen: types.Keygen{
			Id: info.Id, ChurnId: info.ChurnId, Status: info.Status, Threshold: info.Threshold,
			Needed: info.Needed, ClosedHeight: info.ClosedHeight, RequireProofs: info.RequireProofs,
			Split: info.Split, Placement: info.Placement,
		},
		OpenedHeight: info.OpenedHeight, Deadline: info.Deadline,
		JoinDeadline: info.JoinDeadline, AttemptDeadline: info.AttemptDeadline,
		CertificateDeadline: info.CertificateDeadline,
	}
	if k.Vault, err = optional("vault", info.Vault, types.PubKeySize); err != nil {
		return k, err
	}
	if r := info.Reshare; r != nil {
		k.Reshare = &types.Reshare{Epoch: r.Epoch}
		if k.Reshare.Vault, err = decodeHex("vault", r.Vault, types.PubKeySize); err != nil {
			return k, err
		}
		if k.Reshare.Excluded, err = decodeAddresses(r.Excluded); err != nil {
			return k, err
		}
		k.Deal = int(r.Threshold)
		if k.Able, err = decodeAddresses(r.Dealers); err != nil {
			return k, err
		}
	}
	if k.Members, k.Recipients, err = decodeMembers(info.Members); err != nil {
		return k, err
	}
	for _, v := range info.Votes {
		vote, err := decodeVoteInfo(v)
		if err != nil {
			return k, err
		}
		k.Votes = append(k.Votes, vote)
	}
	if k.Joins, err = decodeJoins(info.Joins); err != nil {
		return k, err
	}
	if s := info.Session; s != nil {
		k.Session = &Session{Attempt: s.Attempt, Height: s.Height}
		if k.Session.ID, err = decodeHex("session", s.Id, types.HashSize); err != nil {
			return k, err
		}
		if k.Session.Members, err = decodeJoins(s.Members); err != nil {
			return k, err
		}
		if k.Session.Dealers, err = decodeJoins(s.Dealers); err != nil {
			return k, err
		}
		if err := k.checkSession(); err != nil {
			return k, err
		}
	}
	if c := info.Certificate; c != nil {
		k.Certificate = &Certificate{Attempt: c.Attempt, Height: c.Height, Checked: c.Checked}
		k.Certificate.Result, err = decodeResult(
			c.Vault, c.PubKeyEd25519, c.SharesHash, c.EnvelopesHash,
		)
		if err != nil {
			return k, err
		}
		for _, info := range c.Envelopes {
			held, err := info.Commitment()
			if err != nil {
				return k, err
			}
			k.Certificate.Envelopes = append(k.Certificate.Envelopes, held)
		}
	}
	if k.Blamed, err = decodeAddresses(info.Blamed); err != nil {
		return k, err
	}
	k.Silent, err = decodeAddresses(info.Silent)
	return k, err
}

// checkSession makes sure that the session is of the members, and in a reshare of as many dealers
// as must deal. Who dealt in it may have been excluded since.
func (k Keygen) checkSession() error {
	if !slices.EqualFunc(k.Session.Members, k.Members, func(j Join, m types.Member) bool {
		return bytes.Equal(j.Member, m.Address())
	}) {
		return fmt.Errorf("the session of keygen %d has not its members", k.Id)
	}
	if len(k.Session.Dealers) != k.Deal {
		return fmt.Errorf("%d deal in the session of keygen %d, and %d should",
			len(k.Session.Dealers), k.Id, k.Deal)
	}
	for i, d := range k.Session.Dealers {
		if _, twice := joinOf(k.Session.Dealers[:i], d.Member); twice {
			return fmt.Errorf("a dealer is twice in the session of keygen %d", k.Id)
		}
	}
	return nil
}

func decodeJoins(infos []types.JoinInfo) ([]Join, error) {
	var joins []Join
	for _, info := range infos {
		j := Join{Height: info.Height}
		var err error
		if j.Member, err = decodeAddress(info.Member); err != nil {
			return nil, err
		}
		if j.Nonce, err = decodeHex("nonce", info.Nonce, types.NonceSize); err != nil {
			return nil, err
		}
		if j.Key, err = decodeHex("session key", info.SessionKey, types.PubKeySize); err != nil {
			return nil, err
		}
		joins = append(joins, j)
	}
	return joins, nil
}

func decodeVoteInfo(info types.VoteInfo) (v Vote, err error) {
	v = Vote{Vote: types.Vote{Height: info.Height}, Proven: info.Proven}
	if v.Member, err = decodeAddress(info.Member); err != nil {
		return v, err
	}
	if v.Blamed, err = decodeAddresses(info.Blamed); err != nil || info.Vault == "" {
		return v, err
	}
	result, err := decodeResult(
		info.Vault, info.PubKeyEd25519, info.SharesHash, info.EnvelopesHash,
	)
	if err != nil {
		return v, err
	}
	v.Result = &result
	if info.Commitment != nil {
		c, err := info.Commitment.Commitment()
		if err != nil {
			return v, err
		}
		v.Commitment = &c
	}
	return v, nil
}

func decodeResult(
	vault, pubKeyEd25519, sharesHash, envelopesHash string,
) (r types.Result, err error) {
	if r.PubKey, err = decodeHex("vault", vault, types.PubKeySize); err != nil {
		return r, err
	}
	r.PubKeyEd25519, err = decodeHex("ed25519 key", pubKeyEd25519, types.PubKeyEd25519Size)
	if err != nil {
		return r, err
	}
	if r.SharesHash, err = optional("shares hash", sharesHash, types.HashSize); err != nil {
		return r, err
	}
	r.EnvelopesHash, err = optional("hash of the envelopes", envelopesHash, types.HashSize)
	return r, err
}

// ProofFromInfo turns what queries show of a proof back into raw bytes. It errs as [FromInfo] does.
func ProofFromInfo(info types.ProofInfo) (types.Proof, error) {
	key, err := optional("recipient key", info.RecipientKey, types.PubKeyEd25519Size)
	return types.Proof{
		Recipient: types.Recipient{Key: key, Index: info.RecipientIndex},
		Stored:    info.Stored, Height: info.Height,
	}, err
}

func decodeAddresses(addresses []string) ([][]byte, error) {
	var all [][]byte
	for _, a := range addresses {
		raw, err := decodeAddress(a)
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}

func decodeAddress(address string) ([]byte, error) {
	_, raw, err := bech32.DecodeAndConvert(address)
	if err != nil {
		return nil, fmt.Errorf("address %.80q is none", address)
	}
	return raw, nil
}

func optional(name, text string, size int) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	return decodeHex(name, text, size)
}

func decodeHex(name, text string, size int) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != size {
		return nil, fmt.Errorf("the %s %.80q is not %d bytes in hex", name, text, size)
	}
	return raw, nil
}
