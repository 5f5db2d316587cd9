// Package browser looks at pages in a headless Chromium, over a pipe to it (the DevTools protocol):
// at any width, dark or light, with or without script. Everything that fails ends the test.
package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long the browser may take for an answer, or a page until it says what is awaited.
const patience = 30 * time.Second

// Browser is a running Chromium.
type Browser struct {
	t    testing.TB
	in   *os.File
	gone chan struct{} // closed when it says nothing more

	mu     sync.Mutex
	id     int
	calls  map[int]chan answer
	events map[string]func(method string, params json.RawMessage) // by session
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// New starts the chromium of the path. It ends with the test.
func New(t testing.TB) *Browser {
	t.Helper()
	theirs, in, err := os.Pipe()
	require.NoError(t, err)
	out, says, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{theirs, says} // 3 and 4, where it looks for them
	require.NoError(t, cmd.Start())
	_ = theirs.Close()
	_ = says.Close()
	b := &Browser{
		t: t, in: in, gone: make(chan struct{}), calls: map[int]chan answer{},
		events: map[string]func(string, json.RawMessage){},
	}
	go b.listen(out)
	t.Cleanup(func() {
		b.call("", "Browser.close", nil, nil)
		_ = cmd.Wait()
		<-b.gone
		_ = in.Close()
		_ = out.Close()
	})
	return b
}

// listen hands on what the browser says, each message up to a zero byte.
func (b *Browser) listen(out *os.File) {
	defer close(b.gone)
	r := bufio.NewReader(out)
	for {
		message, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID        int
			SessionID string
			Method    string
			Params    json.RawMessage
			answer
		}
		if json.Unmarshal(bytes.TrimSuffix(message, []byte{0}), &m) != nil {
			return
		}
		b.mu.Lock()
		waits, hears := b.calls[m.ID], b.events[m.SessionID]
		delete(b.calls, m.ID)
		b.mu.Unlock()
		switch {
		case m.Method == "" && waits != nil:
			waits <- m.answer
		case m.Method != "" && hears != nil:
			hears(m.Method, m.Params)
		}
	}
}

// call asks the browser, or the page of a session, and decodes what it answers.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	done := make(chan answer, 1)
	b.mu.Lock()
	b.id++
	b.calls[b.id] = done
	message, err := json.Marshal(struct {
		ID        int    `json:"id"`
		Method    string `json:"method"`
		Params    any    `json:"params,omitempty"`
		SessionID string `json:"sessionId,omitempty"`
	}{b.id, method, params, session})
	if err == nil {
		_, err = b.in.Write(append(message, 0))
	}
	b.mu.Unlock()
	require.NoError(b.t, err)
	select {
	case a := <-done:
		require.Nil(b.t, a.Error, method)
		if result != nil {
			require.NoError(b.t, json.Unmarshal(a.Result, result))
		}
	case <-b.gone:
		require.FailNow(b.t, "the browser is gone", method)
	case <-time.After(patience):
		require.FailNow(b.t, "the browser does not answer", method)
	}
}

// As says how a page is looked at. Width and Height are in CSS pixels.
type As struct {
	Width, Height int
	Dark          bool
	NoScript      bool
}

// Page is a page that was opened.
type Page struct {
	b       *Browser
	session string

	mu       sync.Mutex
	requests []string
	loaded   chan struct{}
}

type object = map[string]any

// Open opens an address, and returns when everything on the page is loaded.
func (b *Browser) Open(address string, as As) *Page {
	b.t.Helper()
	var target struct{ TargetID, SessionID string }
	b.call("", "Target.createTarget", object{"url": "about:blank"}, &target)
	b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &target)
	p := &Page{b: b, session: target.SessionID, loaded: make(chan struct{}, 16)}
	b.mu.Lock()
	b.events[p.session] = p.hear
	b.mu.Unlock()
	p.call("Page.enable", nil, nil)
	p.call("Network.enable", nil, nil)
	p.call("Emulation.setDeviceMetricsOverride", object{
		"width": as.Width, "height": as.Height, "deviceScaleFactor": 1, "mobile": as.Width < 500,
	}, nil)
	scheme := "light"
	if as.Dark {
		scheme = "dark"
	}
	p.call("Emulation.setEmulatedMedia", object{
		"features": []object{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
	p.call("Emulation.setScriptExecutionDisabled", object{"value": as.NoScript}, nil)
	p.call("Page.navigate", object{"url": address}, nil)
	select {
	case <-p.loaded:
	case <-time.After(patience):
		require.FailNow(b.t, "the page is not loaded", address)
	}
	b.t.Cleanup(func() { b.call("", "Target.closeTarget", object{"targetId": target.TargetID}, nil) })
	return p
}

func (p *Page) call(method string, params, result any) {
	p.b.t.Helper()
	p.b.call(p.session, method, params, result)
}

func (p *Page) hear(method string, params json.RawMessage) {
	switch method {
	case "Page.loadEventFired":
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case "Network.requestWillBeSent":
		var sent struct{ Request struct{ URL string } }
		if json.Unmarshal(params, &sent) == nil {
			p.mu.Lock()
			p.requests = append(p.requests, sent.Request.URL)
			p.mu.Unlock()
		}
	}
}

// Requests are the addresses that the page has asked for, itself first.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// HTML is the document as it is now.
func (p *Page) HTML() string {
	p.b.t.Helper()
	var document struct{ Root struct{ NodeID int } }
	p.call("DOM.getDocument", nil, &document)
	var outer struct{ OuterHTML string }
	p.call("DOM.getOuterHTML", object{"nodeId": document.Root.NodeID}, &outer)
	return outer.OuterHTML
}

// Eval runs an expression, waits for its promise, and decodes its value into result, or ignores it
// when that is nil.
func (p *Page) Eval(expression string, result any) {
	p.b.t.Helper()
	var value struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.call("Runtime.evaluate", object{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	}, &value)
	require.Nil(p.b.t, value.ExceptionDetails, "%s", value.ExceptionDetails)
	if result != nil {
		require.NoError(p.b.t, json.Unmarshal(value.Result.Value, result))
	}
}

// Keys that Press knows.
var keys = map[string]struct {
	text string
	code int
}{"Tab": {"", 9}, "Enter": {"\r", 13}}

// Press presses a key, Tab or Enter, as somebody without a mouse does.
func (p *Page) Press(key string) {
	p.b.t.Helper()
	k, ok := keys[key]
	require.True(p.b.t, ok, key)
	event := object{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": k.code}
	if k.text == "" {
		event["type"] = "rawKeyDown"
	} else {
		event["text"] = k.text
	}
	p.call("Input.dispatchKeyEvent", event, nil)
	p.call("Input.dispatchKeyEvent", object{
		"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": k.code,
	}, nil)
}

// Await waits until the page itself, without being loaded again, makes an expression true.
func (p *Page) Await(expression string) {
	p.b.t.Helper()
	var held bool
	p.Eval(fmt.Sprintf(`new Promise(done => {
		const look = () => (%s) && done(true);
		new MutationObserver(look).observe(document,
			{subtree: true, childList: true, characterData: true, attributes: true});
		setTimeout(() => done(false), %d);
		look();
	})`, expression, (patience-time.Second).Milliseconds()), &held)
	if !held {
		var text string
		p.Eval("document.body.innerText", &text)
		require.FailNow(p.b.t, "the page does not get there", "%s\n%s", expression, text)
	}
}

// Picture is what the page shows of itself within its size, as PNG.
func (p *Page) Picture() []byte {
	p.b.t.Helper()
	var shot struct{ Data []byte }
	p.call("Page.captureScreenshot", object{"format": "png"}, &shot)
	return shot.Data
}
