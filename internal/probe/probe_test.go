package probe

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// long is a timeout that no test waits for.
const long = time.Minute

// brief is a timeout that tests wait for.
const brief = 150 * time.Millisecond

// serve accepts connections on loopback and hands each to talk; it returns the address.
func serve(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-gone })
	return l.Addr().String()
}

// answer sends text to who has asked, and hangs up.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = c.Write([]byte(text))
	}
}

// hang keeps a connection open until the other side gives up.
func hang(c net.Conn) {
	for b := make([]byte, 1024); ; {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func TestHTTPStatus(t *testing.T) {
	for status, good := range map[int]bool{200: true, 204: true, 299: true, 301: true, 302: true, 304: true, 399: true, 400: false, 404: false, 500: false, 503: false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" || r.UserAgent() != "stay" || !r.Close {
				t.Errorf("asked for %s as %q, close %v", r.URL, r.UserAgent(), r.Close)
			}
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(status)
		}))
		r := HTTP(t.Context(), s.URL+"/healthz", long)
		s.Close()
		want := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
		if r.Good != good || r.Message != want || r.Late {
			t.Errorf("%d: %+v, want %v %q", status, r, good, want)
		}
	}
}

// TestHTTPAnswers: what a server can do to who asks.
func TestHTTPAnswers(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		talk func(net.Conn)
		want Result
	}{
		"body":          {answer("HTTP/1.1 500 X\r\n\r\n\n  \n the database is gone \nmore"), Result{Message: "500 Internal Server Error: the database is gone"}},
		"unknown":       {answer("HTTP/1.1 799 \r\n\r\n"), Result{Message: "799"}},
		"hostile body":  {answer("HTTP/1.1 500 X\r\n\r\n\x1b[31mred\x00\xff\u202e"), Result{Message: "500 Internal Server Error: ?[31mred???"}},
		"closes":        {func(net.Conn) {}, Result{Message: "connection closed without an answer"}},
		"no HTTP":       {answer("hello there\r\n\r\n"), Result{Message: `malformed HTTP status code "there"`}},
		"switches":      {answer("HTTP/1.1 101 X\r\n\r\n"), Result{Message: "101 Switching Protocols"}},
		"good and huge": {answer("HTTP/1.1 200 X\r\n\r\n" + huge), Result{Good: true, Message: "200 OK"}},
		"good and hangs": {func(c net.Conn) {
			answer("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n")(c)
			hang(c)
		}, Result{Good: true, Message: "200 OK"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := HTTP(t.Context(), "http://"+serve(t, c.talk)+"/", long)
			r.Took = 0
			if name == "closes" && r.Message == "connection reset by peer" { // it closed before it had read all
				r.Message = c.want.Message
			}
			if r != c.want {
				t.Errorf("%+v, want %+v", r, c.want)
			}
		})
	}
}

// TestHTTPBounds: no answer is read beyond its bounds, and none makes a long message.
func TestHTTPBounds(t *testing.T) {
	var sent atomic.Int64
	endless := func(head, part string) func(net.Conn) {
		return func(c net.Conn) {
			answer(head)(c)
			for {
				n, err := c.Write([]byte(part))
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}
	}
	for name, talk := range map[string]func(net.Conn){
		"body":   endless("HTTP/1.1 500 X\r\n\r\n", strings.Repeat("y", 1000)),
		"header": endless("HTTP/1.1 200 X\r\n", "X: "+strings.Repeat("y", 1000)+"\r\n"),
		"status": endless("HTTP/1.1 200 ", strings.Repeat("y", 1000)),
	} {
		r := HTTP(t.Context(), "http://"+serve(t, talk)+"/", long)
		if r.Good || r.Message == "" || utf8.RuneCountInString(r.Message) > maxMessage+40 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

// TestTimeouts: each way of not answering ends in time, with the same words.
func TestTimeouts(t *testing.T) {
	silent := serve(t, hang)
	half := serve(t, func(c net.Conn) {
		answer("HTTP/1.1 200 O")(c)
		hang(c)
	})
	slow := serve(t, func(c net.Conn) {
		answer("HTTP/1.1 503 X\r\n\r\nbusy\n")(c)
		hang(c)
	})
	for name, c := range map[string]struct {
		ask  func(context.Context) Result
		want string
	}{
		"silent": {func(ctx context.Context) Result { return HTTP(ctx, "http://"+silent, brief) }, "no answer within 150ms"},
		"half":   {func(ctx context.Context) Result { return HTTP(ctx, "http://"+half, brief) }, "no answer within 150ms"},
		"slow":   {func(ctx context.Context) Result { return HTTP(ctx, "http://"+slow, brief) }, "503 Service Unavailable: busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.ask(t.Context())
			if r.Good || r.Message != c.want || r.Took < brief-time.Millisecond {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, r := range []Result{TCP(t.Context(), address, long), HTTP(t.Context(), "http://"+address, long)} {
		if r.Good || r.Message != "connection refused" || r.Late {
			t.Errorf("%+v", r)
		}
	}
}

func TestTCP(t *testing.T) {
	asked := make(chan error, 1)
	address := serve(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		asked <- err
	})
	if r := TCP(t.Context(), address, long); !r.Good || r.Message != "connected" || r.Late {
		t.Errorf("%+v", r)
	}
	if err := <-asked; err == nil {
		t.Error("a TCP check sent something")
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine's loopback")
	}
	defer l.Close()
	if r := TCP(t.Context(), l.Addr().String(), long); !r.Good {
		t.Errorf("%+v", r)
	}
}

// TestGivenUp: who asks can give up, and hears at once.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	connected := make(chan struct{})
	address := serve(t, func(c net.Conn) {
		close(connected)
		hang(c)
	})
	go func() {
		<-connected
		cancel()
	}()
	if r := HTTP(ctx, "http://"+address, long); r.Good || r.Late || r.Message != "context canceled" {
		t.Errorf("%+v", r)
	}
}

// TestWrongAddresses: what the configuration would refuse is a bad answer, not a crash.
func TestWrongAddresses(t *testing.T) {
	for _, url := range []string{"", "http://", "ftp://127.0.0.1/", "http://[::1", "http://127.0.0.1:99999/", "\x7f"} {
		if r := HTTP(t.Context(), url, long); r.Good || r.Message == "" {
			t.Errorf("%q: %+v", url, r)
		}
	}
	if r := TCP(t.Context(), "127.0.0.1", long); r.Good || !strings.Contains(r.Message, "missing port") {
		t.Errorf("%+v", r)
	}
}

// TestNoProxy: a proxy of the environment would answer instead of the service.
func TestNoProxy(t *testing.T) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if r := HTTP(t.Context(), strings.Replace(s.URL, "127.0.0.1", "localhost", 1), long); !strings.HasPrefix(r.Message, "404 Not Found") && !strings.Contains(r.Message, "look up") {
		t.Errorf("%+v", r)
	}
}

// TestLateCountsOnlyForTimeouts: what a server said, it said, however late it was heard.
func TestLateCountsOnlyForTimeouts(t *testing.T) {
	for _, c := range []struct {
		err  error
		late bool
		want string
	}{
		{nil, false, "heard"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}, false, "permission denied"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true, "no answer within 1m0s"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), true, "no answer within 1m0s"},
	} {
		for _, late := range []bool{false, true} {
			got := Result{Good: c.err == nil, Message: "heard"}.judge(c.err, long, late)
			if got.Late != (c.late && late) || got.Message != c.want || got.Good != (c.err == nil) {
				t.Errorf("%v, late %v: %+v, want late %v, %q", c.err, late, got, c.late, c.want)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a\nb": "a", "\n\n  b \nc": "b", " \r\n": "", "a\tb": "a?b", "ä€": "ä€", "\x00": "?", strings.Repeat("ä", 300): strings.Repeat("ä", 200),
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzHTTP(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 X\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.0 404\r\n\r\n", "x", "HTTP/1.1 100\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := HTTP(t.Context(), "http://"+serve(t, answer(string(text))), 5*time.Second)
		if strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c == 0x7f }) || !utf8.ValidString(r.Message) || r.Message == "" {
			t.Errorf("%q makes the message %q", text, r.Message)
		}
	})
}

func BenchmarkHTTP(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if r := HTTP(b.Context(), s.URL, long); !r.Good {
			b.Fatal(r.Message)
		}
	}
}

func BenchmarkTCP(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if r := TCP(b.Context(), l.Addr().String(), long); !r.Good {
			b.Fatal(r.Message)
		}
	}
}
