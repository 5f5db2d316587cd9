package keyshare

import (
	"errors"
	"fmt"
	"math/big"
	"sort"
)

// maxPartyID bounds the number of a party. Elsewhere it is the name of a node, as bytes.
const maxPartyID = 128 * 8

// LocalData is what shows of tss-lib's LocalPartySaveData that is in no keyshare file.
type LocalData struct {
	Curve Curve
	// PubKey is the public key that is shared: 33 bytes for secp256k1, 32 for ed25519.
	PubKey []byte
	// Members is how many parties have a share, and Threshold how many of them sign.
	Members, Threshold int
}

// CheckLocalData reads the JSON of tss-lib's LocalPartySaveData as it is, without a keyshare file
// around it, and checks that its numbers fit together as [Keyshare.Verify] does. It is for systems
// that number their parties and choose their thresholds in their own way: the degree of the
// polynomial is found out from the public shares, and only a share that signs alone is refused.
//
// No input makes it panic, and its errors never show what is in the data.
func CheckLocalData(curve Curve, raw []byte) (data LocalData, err error) {
	if len(raw) > MaxFileSize {
		return data, fmt.Errorf("a keyshare of %d bytes", len(raw))
	}
	k := &Keyshare{curve: curve, raw: raw}
	defer func() {
		k.raw = nil // which is the caller's
		k.Wipe()
	}()
	if err := k.readLocalData(); err != nil {
		return data, err
	}
	if err := k.takeParties(); err != nil {
		return data, err
	}
	if err := k.checkForm(); err != nil {
		return data, err
	}
	own := k.index(k.local)
	if own < 0 {
		return data, errors.New("ShareID is not among Ks")
	}
	if err := k.verifyShare(own); err != nil {
		return data, err
	}
	degree, err := k.degree()
	if err != nil {
		return data, err
	}
	if err := k.verifySecrets(own); err != nil {
		return data, err
	}
	return LocalData{
		Curve: curve, PubKey: k.VaultKey(), Members: len(k.participants), Threshold: degree + 1,
	}, nil
}

// takeParties makes the numbers of the parties stand for their keys, and the key that is shared for
// that of the vault.
func (k *Keyshare) takeParties() error {
	id := func(n *big.Int) ([]byte, error) {
		if n == nil || n.Sign() <= 0 || n.BitLen() > maxPartyID {
			return nil, errors.New("the number of a party is missing or out of range")
		}
		return n.Bytes(), nil
	}
	shareID := (*big.Int)(nil)
	if k.ecdsa != nil {
		shareID = k.ecdsa.ShareID
	} else {
		shareID = k.eddsa.ShareID
	}
	var err error
	if k.local, err = id(shareID); err != nil {
		return err
	}
	if len(k.ks) > maxParticipants {
		return fmt.Errorf("%d parties, more than %d", len(k.ks), maxParticipants)
	}
	for _, n := range k.ks {
		party, err := id(n)
		if err != nil {
			return err
		}
		k.participants = append(k.participants, party)
	}
	if !k.validPoint(k.pub) {
		return fmt.Errorf("the public key is not a point of %s", k.curve)
	}
	k.vault = compress(k.pub)
	return nil
}

// degree is that of the polynomial on which the public shares lie with the public key.
func (k *Keyshare) degree() (int, error) {
	at, points, err := k.publicPoints()
	if err != nil {
		return 0, err
	}
	// One of degree n goes through any n+1 points, and says nothing.
	n := len(k.participants)
	t := sort.Search(n, func(t int) bool { return k.onPolynomial(at, points, t) })
	switch t {
	case n:
		return 0, errors.New("the public shares BigXj do not give the public key")
	case 0:
		return 0, errors.New("the public shares BigXj are all the same: each party signs alone")
	}
	return t, nil
}
