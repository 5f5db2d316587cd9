package mpcium

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	magic     = "MPCIUM_BACKUP"
	algorithm = "AES-256-GCM"
	nonceSize = 12
	tagSize   = 16

	// maxHeader bounds the header, which has some 160 bytes.
	maxHeader = 1024
	// maxFile bounds a file. The increment of 10,000 shares of 24 KB has 240 MB.
	maxFile = 1 << 30
	// maxKey bounds the key of a record, which holds the name of a wallet.
	maxKey = 4096
)

// header is the header of a file, with the fields in the order in which they are written.
type header struct {
	Algo      string `json:"algo"`
	Nonce     string `json:"nonce_b64"`
	CreatedAt string `json:"created_at"`
	Since     uint64 `json:"since"`
	NextSince uint64 `json:"next_since"`
	KeyID     string `json:"encryption_key_id"`

	nonce   []byte
	created time.Time
}

// parseHeader returns the header of a file and the ciphertext behind it. Headers have one form
// only: whatever else would mean the same was not written by mpcium.
func parseHeader(data []byte) (h header, ciphertext []byte, err error) {
	if !bytes.HasPrefix(data, []byte(magic)) {
		if len(data) < len(magic) && bytes.HasPrefix([]byte(magic), data) {
			return h, nil, errors.New("it is cut off in its first bytes")
		}
		return h, nil, errors.New("it does not begin with " + magic)
	}
	data = data[len(magic):]
	if len(data) < 4 {
		return h, nil, errors.New("it is cut off before its header")
	}
	size := binary.BigEndian.Uint32(data)
	if data = data[4:]; size > maxHeader {
		return h, nil, fmt.Errorf("its header says to have %d bytes, more than %d", size, maxHeader)
	}
	if uint64(len(data)) < uint64(size) {
		return h, nil, errors.New("it is cut off in its header")
	}
	text, ciphertext := data[:size], data[size:]
	if json.Unmarshal(text, &h) != nil {
		return h, nil, errors.New("its header is not as mpcium writes it")
	}
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, text) {
		return h, nil, errors.New("its header is not as mpcium writes it")
	}
	if h.nonce, err = base64.StdEncoding.Strict().DecodeString(h.Nonce); err != nil ||
		len(h.nonce) != nonceSize {
		return h, nil, fmt.Errorf("its nonce is not %d bytes in base64", nonceSize)
	}
	if h.created, err = time.Parse(time.RFC3339, h.CreatedAt); err != nil {
		return h, nil, errors.New("its created_at is not a time")
	}
	switch {
	case h.Algo != algorithm:
		return h, nil, errors.New("its algo is not " + algorithm)
	case h.Since >= h.NextSince:
		return h, nil, fmt.Errorf("it says to hold the versions above %d up to %d",
			h.Since, h.NextSince)
	case len(ciphertext) < tagSize:
		return h, nil, errors.New("it is cut off behind its header")
	}
	return h, ciphertext, nil
}

// open decrypts a file's records. The values of the records lie in plain, which the caller wipes.
func (h header) open(ciphertext []byte, key *Key) (records []Record, plain []byte, err error) {
	block, err := aes.NewCipher(key.bytes)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, err
	}
	if plain, err = aead.Open(nil, h.nonce, ciphertext, nil); err != nil {
		return nil, nil, errors.New("it does not open with its key: it is cut off or was changed")
	}
	records, err = decode(plain)
	if err == nil {
		err = h.check(records)
	}
	if err != nil {
		sanity.Wipe(plain)
		return nil, nil, err
	}
	return records, plain, nil
}

// check holds the bounds in the header, which nothing authenticates, against the records.
func (h header) check(records []Record) error {
	highest := uint64(0)
	for _, r := range records {
		if r.Version <= h.Since {
			return fmt.Errorf("it says to begin above version %d and holds version %d",
				h.Since, r.Version)
		}
		highest = max(highest, r.Version)
	}
	if highest != h.NextSince {
		return fmt.Errorf("it says to end at version %d and ends at %d", h.NextSince, highest)
	}
	return nil
}

// decode reads the plaintext of a file: lists of records, each behind its length. Messages are read
// strictly; no field may be there twice or be unknown, because it may change what a record means.
func decode(plain []byte) (records []Record, err error) {
	seen := map[string]map[uint64]bool{}
	for len(plain) > 0 {
		if len(plain) < 8 {
			return nil, errors.New("its contents are cut off")
		}
		size := binary.LittleEndian.Uint64(plain)
		if plain = plain[8:]; size > uint64(len(plain)) {
			return nil, fmt.Errorf("its contents are cut off: %d bytes of %d are left",
				len(plain), size)
		}
		list := plain[:size]
		plain = plain[size:]
		err := fields(list, func(number protowire.Number, _ uint64, value []byte) error {
			switch number {
			case 1: // one record
			case 2: // alloc_ref, of the process that wrote it
				return nil
			default:
				return errUnknownField
			}
			r, end, err := decodeRecord(value)
			if err != nil || end {
				return err
			}
			if seen[r.Key][r.Version] {
				return fmt.Errorf("it holds the record %s twice", r)
			}
			if seen[r.Key] == nil {
				seen[r.Key] = map[uint64]bool{}
			}
			seen[r.Key][r.Version] = true
			records = append(records, r)
			return nil
		}, 1)
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

// The bits of a record's meta byte. Those of a transaction are not in a backup.
const (
	metaDeleted         = 1 << 0
	metaDiscardsEarlier = 1 << 2
)

// decodeRecord reads one record, or the sign that a stream has ended.
func decodeRecord(data []byte) (r Record, end bool, err error) {
	var meta byte
	err = fields(data, func(number protowire.Number, n uint64, value []byte) error {
		switch number {
		case 1:
			r.Key = string(value)
		case 2:
			r.Value = value
		case 3: // user_meta, which mpcium does not use
		case 4:
			r.Version = n
		case 5:
			if n > math.MaxInt64 {
				return errors.New("a record expires at no time")
			}
			if n != 0 {
				r.expires = time.Unix(int64(n), 0)
			}
		case 6:
			if len(value) > 1 {
				return errors.New("a record has more than one byte of meta")
			}
			if len(value) == 1 {
				meta = value[0]
			}
		case 10: // stream_id
		case 11:
			end = n != 0
		default:
			return errUnknownField
		}
		return nil
	}, 0)
	switch {
	case err != nil || end:
		return r, end, err
	case r.Key == "" || len(r.Key) > maxKey:
		return r, false, fmt.Errorf("a record's key has %d bytes", len(r.Key))
	case r.Version == 0:
		return r, false, errors.New("a record has no version")
	case meta&^(metaDeleted|metaDiscardsEarlier) != 0:
		return r, false, fmt.Errorf("a record has the meta byte %#x", meta)
	}
	r.deleted = meta&metaDeleted != 0
	return r, false, nil
}

var errUnknownField = errors.New("it has a field that Badger's records do not have")

// kinds are the types on the wire of the fields of a record; those of a list are all bytes, or of
// its alloc_ref a number.
var kinds = map[protowire.Number]protowire.Type{
	1: protowire.BytesType, 2: protowire.BytesType, 3: protowire.BytesType,
	4: protowire.VarintType, 5: protowire.VarintType, 6: protowire.BytesType,
	10: protowire.VarintType, 11: protowire.VarintType,
}

// fields gives each field of a message to take. No field but the repeated one may be there twice.
func fields(
	data []byte,
	take func(number protowire.Number, n uint64, value []byte) error,
	repeated protowire.Number,
) error {
	malformed := errors.New("its contents are not Badger's records")
	seen := map[protowire.Number]bool{}
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return malformed
		}
		data = data[size:]
		want, known := kinds[number]
		if repeated != 0 && number == 2 {
			want = protowire.VarintType
		}
		switch {
		case !known:
			return errUnknownField
		case kind != want, seen[number] && number != repeated:
			return malformed
		}
		seen[number] = true
		var n uint64
		var value []byte
		if kind == protowire.VarintType {
			n, size = protowire.ConsumeVarint(data)
		} else {
			value, size = protowire.ConsumeBytes(data)
		}
		if size < 0 {
			return malformed
		}
		data = data[size:]
		if err := take(number, n, value); err != nil {
			return err
		}
	}
	return nil
}
