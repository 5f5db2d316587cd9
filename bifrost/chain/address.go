package chain

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// hidden stands for what is secret in an address that is shown.
const hidden = "xxxxx"

// minSecret is how long a secret must be to be looked for in what a server says: a shorter one is
// part of many words.
const minSecret = 8

// address is where a node is asked. A user, a password and a query belong to the question and to no
// message: providers put their keys there.
type address struct {
	// url is scheme, host and path alone.
	url   url.URL
	user  *url.Userinfo
	query string
	// name is the address for messages, without what is secret.
	name    string
	secrets []string
}

// parseAddress reads the address of a CometBFT RPC endpoint. Its errors show no secret.
func parseAddress(text string) (address, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if !strings.Contains(text, "://") {
		// HOST:PORT is taken for a scheme, for a path, or for an error.
		u, err = url.Parse("//" + text)
	}
	if err != nil {
		// The parser's error repeats the address.
		return address{}, errors.New("node address is not a URL such as http://HOST:26657")
	}
	name := redacted(*u)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "tcp":
		return address{}, fmt.Errorf("node address %q must start with http://, https:// or tcp://",
			strings.TrimPrefix(name, "//"))
	case u.Host == "":
		return address{}, fmt.Errorf("node address %q names no host", name)
	case u.Fragment != "":
		return address{}, fmt.Errorf("node address %q has a part after #, which no server gets", name)
	}
	if u.Scheme == "tcp" {
		u.Scheme = "http"
	}
	a := address{user: u.User, query: u.RawQuery}
	a.url = url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	// One name for one address, so that a node is seen to be given twice.
	named := *u
	named.Path = strings.TrimSuffix(named.Path, "/")
	a.name = redacted(named)
	a.secrets = secretsOf(u)
	return a, nil
}

// same reports whether two addresses are one.
func (a address) same(b address) bool {
	return a.name == b.name && a.query == b.query && a.user.String() == b.user.String()
}

// private reports whether something in the address is not for everybody.
func (a address) private() bool { return a.user != nil || a.query != "" }

// scrub takes the secrets out of what a server says.
func (a address) scrub(text string) string {
	for _, secret := range a.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// secretsOf are the secrets in an address as somebody might repeat them, the longest first.
func secretsOf(u *url.URL) []string {
	var secrets []string
	add := func(text string) {
		if len(text) >= minSecret {
			secrets = append(secrets, text, url.QueryEscape(text))
		}
	}
	if u.User != nil {
		if password, ok := u.User.Password(); ok {
			add(password)
		} else {
			add(u.User.Username())
		}
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, ok := strings.Cut(pair, "=")
		if !ok {
			value = pair
		}
		add(value)
		if plain, err := url.QueryUnescape(value); err == nil {
			add(plain)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(secrets)
}

// redacted shows an address without its secrets: a password, or else the user, who is a token then,
// and each value of the query. A node's redirect is shown so too.
func redacted(u url.URL) string {
	if u.User != nil {
		// A name with an @ is the beginning of an address that was put together wrongly.
		name := u.User.Username()
		if _, ok := u.User.Password(); ok && !strings.Contains(name, "@") {
			u.User = url.UserPassword(name, hidden)
		} else {
			u.User = url.User(hidden)
		}
	}
	if u.RawQuery != "" {
		pairs := strings.Split(u.RawQuery, "&")
		for i, pair := range pairs {
			if key, _, ok := strings.Cut(pair, "="); ok {
				pairs[i] = key + "=" + hidden
			} else {
				pairs[i] = hidden
			}
		}
		u.RawQuery = strings.Join(pairs, "&")
	}
	u.Fragment, u.RawFragment = "", ""
	return printable(u.String())
}
