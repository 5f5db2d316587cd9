// Package homekeys gives tests the keys with which a home is sealed.
package homekeys

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// Words are those of a mnemonic that is used for nothing else.
const Words = "profit used piece repeat real curtain endorse tennis tenant sentence include glass " +
	"return learn upgrade apple crane polar attend before ripple doctor decrease depend"

// New are the keys of the home of Words, sealed for these recipients as well.
func New(t testing.TB, recipients ...string) *keystore.Keys {
	m, err := sanity.ParseMnemonic([]byte(Words))
	require.NoError(t, err)
	return Of(t, m, recipients...)
}

// Of are the keys of the home of a mnemonic.
func Of(t testing.TB, m *sanity.Mnemonic, recipients ...string) *keystore.Keys {
	keys, err := of(m, recipients)
	require.NoError(t, err)
	return keys
}

// Read are the keys of the home of the mnemonic in a file.
func Read(path string) (*keystore.Keys, error) {
	words, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := sanity.ParseMnemonic(words)
	if err != nil {
		return nil, err
	}
	return of(m, nil)
}

func of(m *sanity.Mnemonic, recipients []string) (*keystore.Keys, error) {
	identity, err := signer.HomeIdentity(m)
	if err != nil {
		return nil, err
	}
	return keystore.NewKeys(identity, recipients)
}
