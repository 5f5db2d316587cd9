package envelope

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	secretsPrefix = "secrets-"
	// vaultName is the length of a vault's name: a compressed secp256k1 key in hex.
	vaultName = 66
)

// IsSecretsName reports whether the name is that of a secrets file, [sanity.Secrets.FileName]: such
// a file is not a keyshare, and gives two when it is joined with the vault's group part. It is safe
// to use as a file name.
func IsSecretsName(name string) bool {
	vault, ok := strings.CutPrefix(name, secretsPrefix)
	if !ok {
		return false
	}
	vault, ok = strings.CutSuffix(vault, nameSuffix)
	return ok && len(vault) == vaultName && strings.Trim(vault, "0123456789abcdef") == ""
}

// isFileName reports whether an envelope may hold a file of this name.
func isFileName(name string) bool { return IsKeyshareName(name) || IsSecretsName(name) }

// checkSecrets makes sure that files are keyshares alone, or one secrets file alone that is one and
// has its name.
func checkSecrets(files []File) error {
	for _, file := range files {
		if !IsSecretsName(file.Name) {
			continue
		}
		if len(files) > 1 {
			return errors.New("an envelope holds a member's secrets alone, or keyshares")
		}
		secrets, err := readSecrets(file)
		if err != nil {
			return err
		}
		secrets.Secret.Wipe()
	}
	return nil
}

// readSecrets reads a secrets file that has its own name.
func readSecrets(file File) (*sanity.Secrets, error) {
	secrets, err := sanity.ParseSecrets(file.Data)
	if err != nil {
		return nil, err
	}
	if name := secrets.FileName(); name != file.Name {
		secrets.Secret.Wipe()
		return nil, fmt.Errorf("the secrets in it are those of %s", name)
	}
	return secrets, nil
}

// rawForms are the bytes that stand in base64 in a secrets file, which an envelope must not hold
// either: all of them, and each number.
func rawForms(s sanity.Secret) [][]byte {
	return [][]byte{
		s.Bytes(), s.XiSecp256k1(), s.XiEd25519(), s.PaillierP(), s.RingP(), s.Alpha(),
	}
}
