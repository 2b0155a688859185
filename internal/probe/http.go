package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	maxBody   = 4 << 10  // bytes read of a body
	maxHeader = 64 << 10 // bytes read of a header
	ioBuffer  = 4 << 10  // of a connection, each way
)

// transport makes a connection for each question. A kept one would go on to be served when nobody accepts new ones, would
// keep a server that serves one at a time from everybody else, and would cost memory between two questions. Nothing is
// taken from the environment: no proxy stands between.
var transport = &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true,
	MaxResponseHeaderBytes: maxHeader, ReadBufferSize: ioBuffer, WriteBufferSize: ioBuffer}

// HTTP sends one GET to url, which is http:// or https://. A status from 200 to 399 is good, whatever the body; a
// redirection is not followed. What is said of any other is the status and the first line of the body.
func HTTP(ctx context.Context, url string, timeout time.Duration) Result {
	return ask(ctx, timeout, func(ctx context.Context) (bool, string, error) { return get(ctx, url) })
}

func get(ctx context.Context, url string) (good bool, heard string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, "", err
	}
	req.Header.Set("User-Agent", "stay")
	resp, err := transport.RoundTrip(req) // and not a Client: that one follows redirections
	if err != nil {
		return false, "", err
	}
	defer resp.Body.Close()
	heard = clean(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	if resp.StatusCode >= 200 && resp.StatusCode <= 399 {
		return true, heard, nil
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // as far as it comes in time
	if line := clean(string(bytes.ToValidUTF8(body, []byte("?")))); line != "" {
		heard += ": " + line
	}
	return false, heard, nil
}
