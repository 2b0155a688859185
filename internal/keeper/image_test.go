package keeper

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestImageIsTheRow holds the image against the row: what another keeper needs is in it, and survives JSON.
func TestImageIsTheRow(t *testing.T) {
	r := &row{unit: "web.2", record: json.RawMessage(`{"a":1}`), op: 7, gen: 3, state: Ended, main: 4711, start: 99, born: 5,
		exit: &Exit{Status: 256, At: 6}, lost: true, fail: &Failure{Stage: "exec", Errno: 2}, seen: 2, mark: "STAY_TREE=x/web.2/3", out: 8,
		killing: true, killAt: 9, files: []file{{name: LogPipe, gen: 3, fd: 10, pipe: 12}, {name: "notify", fd: 11}}}
	data, err := json.Marshal(r.image())
	if err != nil {
		t.Fatal(err)
	}
	var got RowImage
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := RowImage{Unit: "web.2", Record: json.RawMessage(`{"a":1}`), Op: 7, Gen: 3, State: Ended, Main: 4711, Start: 99, Born: 5,
		Exit: &Exit{Status: 256, At: 6}, Lost: true, Failure: &Failure{Stage: "exec", Errno: 2}, Seen: 2, Mark: "STAY_TREE=x/web.2/3", Out: 8,
		Killing: true, KillAt: 9, Files: []string{FileName(LogPipe, 3), FileName("notify", 0)}, Inodes: []uint64{12, 0}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("image is\n%+v, want\n%+v", got, want)
	}
}
