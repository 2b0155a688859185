package client_test

import (
	"context"
	"fmt"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// Restart a service of the daemon that is responsible here, and wait until it is ready.
func Example() {
	socket, err := client.Find("")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := client.Dial(socket).Do(ctx, api.Command{Target: "web", Verb: api.Restart})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range r.Failures {
		fmt.Println(f.Name, f.Message)
	}
}
