package control

import (
	"cmp"
	"slices"
	"strings"

	"example.com/stay/api"
)

// defaultLines is how many log lines a client gets that does not say.
const defaultLines = 10

// verbs are what POST /v1/services/{target}/{verb} knows.
var verbs = []api.Verb{api.Start, api.Stop, api.Restart, api.Reset, api.Signal, api.Wait, api.Scale, api.Mute}

func getVersion(e Engine, q *request) error {
	return reply(q)(e.Version(q.Context()))
}

func getServices(e Engine, q *request) error {
	list, err := e.Status(q.Context(), q.params.Get("target"))
	if list == nil {
		list = []api.Instance{} // an array in any case
	}
	return reply(q)(list, err)
}

func getService(e Engine, q *request) error {
	return reply(q)(e.Show(q.Context(), q.PathValue("name")))
}

func postCommand(e Engine, q *request) error {
	c, err := command(q)
	if err != nil {
		return err
	}
	return reply(q)(e.Do(q.Context(), c))
}

// command reads a command: the path counts, then the query, then the body.
func command(q *request) (api.Command, error) {
	target, verb := q.PathValue("target"), api.Verb(q.PathValue("verb"))
	c := api.Command{Target: target, Verb: verb}
	if err := q.decode(&c); err != nil {
		return c, err
	}
	switch {
	case !slices.Contains(verbs, verb):
		return c, badRequest("there is no command %q", verb)
	case c.Target != target || c.Verb != verb:
		return c, badRequest("the path says %q %q, the body %q %q", verb, target, c.Verb, c.Target)
	}
	wait, err := q.flag("wait", !c.NoWait)
	if err != nil {
		return c, err
	}
	gen, err := q.number("gen")
	if err != nil {
		return c, err
	}
	c.NoWait = !wait
	c.Gen = cmp.Or(gen, c.Gen)
	c.Signal = cmp.Or(q.params.Get("signal"), c.Signal)
	c.For = cmp.Or(q.params.Get("for"), c.For)
	return c, nil
}

func postRun(e Engine, q *request) error {
	var r api.Run
	if err := q.decode(&r); err != nil {
		return err
	}
	if len(r.Command) == 0 {
		return badRequest("a run needs a command")
	}
	return reply(q)(e.Run(q.Context(), r))
}

func getPlan(e Engine, q *request) error {
	changes, err := e.Plan(q.Context())
	if changes == nil {
		changes = []api.Change{}
	}
	return reply(q)(changes, err)
}

func postApply(e Engine, q *request) error {
	if err := q.empty(); err != nil {
		return err
	}
	changes, err := e.Apply(q.Context())
	if changes == nil {
		changes = []api.Change{}
	}
	return reply(q)(changes, err)
}

func postUpgrade(e Engine, q *request) error {
	var p api.NewProgram
	if err := q.decode(&p); err != nil {
		return err
	}
	if p.Path == "" {
		return badRequest("an upgrade needs the path of the new stayd")
	}
	return reply(q)(e.Upgrade(q.Context(), p.Path))
}

func postShutdown(e Engine, q *request) error {
	now, err := q.flag("now", false)
	if err != nil {
		return err
	}
	if err := q.empty(); err != nil {
		return err
	}
	return reply(q)(struct{}{}, e.Shutdown(q.Context(), now))
}

func getEvents(e Engine, q *request) error {
	f := api.EventFilter{Targets: q.params["target"], Kinds: q.params["kind"]}
	var err error
	if since := q.params.Get("since"); strings.Contains(since, "-") {
		f.From, err = q.moment("since")
	} else {
		f.Since, err = q.number("since")
	}
	if err != nil {
		return err
	}
	if f.Follow, err = q.flag("follow", false); err != nil {
		return err
	}
	return q.stream(e.Events(q.Context(), f, func(ev api.Event) error { return q.line(ev) }))
}

func getLogs(e Engine, q *request) error {
	l := api.LogQuery{Targets: q.params["name"], Grep: q.params.Get("grep")}
	if name := q.PathValue("name"); name != "" {
		l.Targets = []string{name}
	}
	var err error
	if l.N, err = q.integer("n", defaultLines); err != nil {
		return err
	}
	if l.Follow, err = q.flag("follow", false); err != nil {
		return err
	}
	if l.Since, err = q.moment("since"); err != nil {
		return err
	}
	if l.Until, err = q.moment("until"); err != nil {
		return err
	}
	for _, after := range q.params["after"] {
		name, pos, found := strings.Cut(after, ":")
		if !found {
			return badRequest("after=%s: say the name of an instance, a colon, and the pos of its line", after)
		}
		if l.After == nil {
			l.After = map[string]string{}
		}
		l.After[name] = pos
	}
	return q.stream(e.Logs(q.Context(), l, func(line api.LogLine) error { return q.line(line) }))
}

func postRotate(e Engine, q *request) error {
	if err := q.empty(); err != nil {
		return err
	}
	return reply(q)(struct{}{}, e.Rotate(q.Context(), q.params["name"]))
}

func getPulses(e Engine, q *request) error {
	list, err := e.Pulses(q.Context(), q.params.Get("target"))
	if list == nil {
		list = []api.PulseSlot{}
	}
	return reply(q)(list, err)
}

func getIncidents(e Engine, q *request) error {
	since, err := q.moment("since")
	if err != nil {
		return err
	}
	n, err := q.integer("n", 0)
	if err != nil {
		return err
	}
	if n < 0 {
		return badRequest("n=%d: say a number from 0; 0 is all", n)
	}
	brief, err := q.flag("brief", false)
	if err != nil {
		return err
	}
	list, err := e.Incidents(q.Context(), q.params.Get("target"), since, n)
	if list == nil {
		list = []api.Incident{}
	}
	if brief {
		shorten(list)
	}
	return reply(q)(list, err)
}

// shorten leaves out what makes incidents long: a list of a thousand is then some hundred kilobytes, not a hundred times that.
func shorten(list []api.Incident) {
	for i := range list {
		a := &list[i]
		a.Evidence, a.Log = nil, nil
		if a.Verdict != nil && a.Verdict.Slots != nil {
			v := *a.Verdict
			v.Slots = nil
			a.Verdict = &v
		}
	}
}

func getIncident(e Engine, q *request) error {
	return reply(q)(e.Incident(q.Context(), q.PathValue("id")))
}

// stream ends a stream. One that was cut off, not ended, must look so to the client: its request's context has ended.
func (q *request) stream(err error) error {
	if err == nil {
		err = q.Context().Err()
	}
	if err == nil {
		q.begin() // a stream may be empty
	}
	return err
}

// reply answers with what a method of the engine returned.
func reply(q *request) func(v any, err error) error {
	return func(v any, err error) error {
		if err != nil {
			return err
		}
		return q.answer(v)
	}
}
