// Package secrets searches folders for what must not lie in them.
package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// encodings are the forms in which a secret could lie in a file: as it is, in hex, and in base64,
// once and twice, from each of its three offsets.
func encodings(secret []byte) [][]byte {
	all := [][]byte{secret, []byte(hex.EncodeToString(secret))}
	for _, once := range inBase64(secret) {
		all = append(append(all, once), inBase64(once)...)
	}
	return all
}

// inBase64 is a secret in base64 behind any number of bytes, without what shares a group with them.
func inBase64(secret []byte) (all [][]byte) {
	for offset := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, offset), secret...))
		all = append(all, []byte(text[4:len(text)-4]))
	}
	return all
}

// In tells which of the secrets, by name, lie in the files of a folder, in any encoding. They have
// 16 bytes or more.
func In(dir string, secrets map[string][]byte) (found []string, err error) {
	forms := map[string][][]byte{}
	for name, secret := range secrets {
		if len(secret) < 16 {
			return nil, fmt.Errorf("%s is too short to be searched for", name)
		}
		forms[name] = encodings(secret)
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for name, all := range forms {
			for _, form := range all {
				if bytes.Contains(data, form) {
					found = append(found, path+": "+name)
					break
				}
			}
		}
		return err
	})
	return found, err
}
