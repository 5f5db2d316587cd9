package keyshare

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
)

// maxDigits is the length of the longest number as text that is read: 2 to the power of maxBits has
// 1,234 digits.
const maxDigits = 1300

// relayout brings tss-lib's data from the layouts of other versions and forks into that of tss-lib
// v2, or returns nil for what is no JSON object. Points without a curve, as tss-lib v1 wrote them,
// are of the curve of the vault's key; numbers that are texts, decimal or in hex after 0x, become
// numbers. The caller wipes it; copies that Go made stay.
func relayout(localData []byte, curve Curve) []byte {
	d := json.NewDecoder(bytes.NewReader(localData))
	d.UseNumber()
	var fields map[string]any
	if d.Decode(&fields) != nil {
		return nil
	}
	usual, err := json.Marshal(usual(fields, curve))
	if err != nil {
		return nil
	}
	return usual
}

func usual(v any, curve Curve) any {
	switch v := v.(type) {
	case map[string]any:
		point, named := false, false
		for name, field := range v {
			switch {
			case strings.EqualFold(name, "Curve"):
				if field == nil || field == "" {
					delete(v, name)
				} else {
					named = true
				}
				continue
			case strings.EqualFold(name, "Coords"):
				point = true
			}
			v[name] = usual(field, curve)
		}
		if point && !named {
			v["Curve"] = curve.String()
		}
	case []any:
		for i := range v {
			v[i] = usual(v[i], curve)
		}
	case string:
		if n, ok := number(v); ok {
			return json.Number(n.String())
		}
	}
	return v
}

// number reads a text that is a number.
func number(text string) (*big.Int, bool) {
	if text == "" || len(text) > maxDigits {
		return nil, false
	}
	if digits, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		return new(big.Int).SetString(digits, 16)
	}
	return new(big.Int).SetString(text, 10)
}
