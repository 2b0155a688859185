package control

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"example.com/stay/api"
)

// A route is one thing that clients can ask for.
type route struct {
	method string
	path   string // as a pattern of http.ServeMux
	access access
	query  []string // the parameters it knows; others are refused
	handle func(Engine, *request) error
}

// routes is the whole API of this version.
var routes = []route{
	{"GET", "/v1/version", anyone, nil, getVersion},
	{"GET", "/v1/services", owner, []string{"target"}, getServices},
	{"GET", "/v1/services/{name}", owner, nil, getService},
	{"POST", "/v1/services/{target}/{verb}", owner, []string{"wait", "gen", "signal", "for"}, postCommand},
	{"POST", "/v1/run", owner, nil, postRun},
	{"GET", "/v1/plan", owner, nil, getPlan},
	{"POST", "/v1/apply", owner, nil, postApply},
	{"GET", "/v1/events", owner, []string{"since", "follow", "target", "kind"}, getEvents},
	{"GET", "/v1/logs", owner, []string{"name", "n", "follow", "since", "until", "grep", "after"}, getLogs},
	{"GET", "/v1/logs/{name}", owner, []string{"n", "follow", "since", "until", "grep", "after"}, getLogs},
	{"POST", "/v1/rotate", owner, []string{"name"}, postRotate},
	{"GET", "/v1/pulses", owner, []string{"target"}, getPulses},
	{"GET", "/v1/incidents", owner, []string{"target", "since", "n", "brief"}, getIncidents},
	{"GET", "/v1/incidents/{id}", owner, nil, getIncident},
	{"POST", "/v1/upgrade", owner, nil, postUpgrade},
	{"POST", "/v1/shutdown", owner, []string{"now"}, postShutdown},
}

// handler makes the table a handler. What is in no row gets an error as JSON too.
func handler(e Engine) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range routes {
		mux.Handle(r.method+" "+r.path, r.handler(e))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			answerError(w, http.StatusMethodNotAllowed, badRequest("%s %s: the method is not %s", r.Method, r.URL.Path,
				strings.Join(allowed, " or ")))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answerError(w, http.StatusNotFound, &api.Error{Code: "not-found", Message: fmt.Sprintf("there is no %q in this API", r.URL.Path),
			Hint: "client and daemon may be of different versions: stay version"})
	})
	return mux
}

// handler is one row of the table as a handler: limits and access first, then the row's own function.
func (rt route) handler(e Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := &request{Request: r, w: w}
		defer q.catch()
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
		_ = control.SetWriteDeadline(time.Time{}) // what the request before may have left
		err := permit(r.Context(), rt.access, rt.method+" "+r.URL.Path)
		if err == nil {
			err = q.read(rt.query)
		}
		_ = control.SetReadDeadline(time.Time{}) // from here on reading only notices that the client goes away
		if err == nil {
			err = rt.handle(e, q)
		}
		if err != nil {
			q.fail(err)
		}
	}
}

// catch makes a panic in a handler an "internal" error; the daemon goes on.
func (q *request) catch() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	slog.Error("panic", "request", q.Method+" "+q.URL.Path, "panic", p, "stack", string(debug.Stack()))
	q.fail(&api.Error{Code: "internal", Message: fmt.Sprintf("internal error: %v", p), Hint: "its stack is in the daemon's log"})
}

// fail answers with err, in whatever way is still possible. A request whose context ended gets no answer: see Serve.
func (q *request) fail(err error) {
	if context.Cause(q.Context()) != nil || isCanceled(err) {
		panic(http.ErrAbortHandler)
	}
	e := toError(err)
	if q.streaming {
		_ = q.line(errorBody{e}) // the status is out already: the error is the last line
		return
	}
	answerError(q.w, status(e.Code), e)
}

// codes are the codes of errors and the statuses that go with them.
var codes = map[string]int{
	"bad-request": http.StatusBadRequest,
	"forbidden":   http.StatusForbidden,
	"not-found":   http.StatusNotFound,
	"conflict":    http.StatusConflict,
	"refused":     http.StatusUnprocessableEntity,
	"going-down":  http.StatusServiceUnavailable,
	"internal":    http.StatusInternalServerError,
}

func status(code string) int {
	return cmp.Or(codes[code], http.StatusInternalServerError)
}

// known refuses a query parameter that the route does not have.
func known(query map[string][]string, names []string) error {
	for _, name := range sortedKeys(query) {
		if !slices.Contains(names, name) {
			return badRequest("unknown parameter %q", name)
		}
	}
	return nil
}
