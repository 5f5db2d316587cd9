package keyfiles

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

// GroupPart is what these keyshares have in common with those of all members: the same, byte for
// byte, from each member's.
func (k *Keyshares) GroupPart() ([]byte, error) {
	return keyshare.GroupPart(k.Secp256k1, k.Ed25519)
}

// SecretsFile is the file that holds what no other member's keyshares do, from a member's two
// keyshare files, the secp256k1 one first, which were checked: with the group part they are made of
// it again, byte for byte. The caller wipes it. The error wraps [keyshare.ErrNotSplit] when that is
// not so of these, and they are as good as others.
func SecretsFile(v vault.Vault, files []envelope.File, group []byte) (envelope.File, error) {
	secrets, part, err := keyshare.Split([2][]byte{files[0].Data, files[1].Data}, v.Epoch)
	if err != nil {
		return envelope.File{}, err
	}
	defer secrets.Secret.Wipe()
	if !bytes.Equal(part, group) {
		return envelope.File{}, fmt.Errorf(
			"%w: they are not of the epoch's group part", keyshare.ErrNotSplit)
	}
	names, err := Names(v, secrets.Prefix)
	if err != nil {
		return envelope.File{}, err
	}
	if files[0].Name != names[0] || files[1].Name != names[1] {
		return envelope.File{}, fmt.Errorf("%w: they have other names", keyshare.ErrNotSplit)
	}
	data, err := secrets.Encode()
	return envelope.File{Name: secrets.FileName(), Data: data}, err
}

// FindSecrets is the secrets file among the files of an envelope: it is alone. Without one the
// keyshares are whole.
func FindSecrets(files []envelope.File) (envelope.File, bool) {
	if i := slices.IndexFunc(files, func(f envelope.File) bool {
		return envelope.IsSecretsName(f.Name)
	}); i >= 0 {
		return files[i], true
	}
	return envelope.File{}, false
}

// Join makes a member's two keyshare files of the vault, the secp256k1 one first, of the secrets
// file in its envelope and the group part. What they are [Check] tells; that they are what was
// split the hash in the secrets does. The caller wipes them. Its error wraps [ErrKeyshares], and
// [keyshare.ErrNotJoined] when secrets of this vault and epoch do not fit the group part.
func Join(v vault.Vault, file envelope.File, group []byte) ([]envelope.File, error) {
	secrets, err := sanity.ParseSecrets(file.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyshares, err)
	}
	defer secrets.Secret.Wipe()
	if !bytes.Equal(secrets.PubKey, v.PubKey) ||
		!bytes.Equal(secrets.PubKeyEd25519, v.PubKeyEd25519) || secrets.Epoch != v.Epoch {
		return nil, fmt.Errorf("%w: the secrets are of vault %x and its epoch %d, not of epoch %d of %s",
			ErrKeyshares, secrets.PubKey, secrets.Epoch, v.Epoch, v.Name())
	}
	names, err := Names(v, secrets.Prefix)
	if err != nil {
		return nil, err
	}
	joined, err := keyshare.Join(secrets, v.MemberKeys(), group)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyshares, err)
	}
	return []envelope.File{
		{Name: names[0], Data: joined[0]}, {Name: names[1], Data: joined[1]},
	}, nil
}
