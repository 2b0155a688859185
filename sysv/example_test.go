package sysv_test

import (
	"context"
	"fmt"
	"log"

	"example.com/stay/sysv"
)

// A lock around shared memory, as old programs have it. With a key instead of Private others find both, and MakeSemaphore
// and MakeMemory let whoever comes first make them.
func Example() {
	lock, err := sysv.CreateSemaphore(sysv.Private, 1, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Remove()
	memory, err := sysv.CreateMemory(sysv.Private, 72*1000, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer memory.Remove()
	table, err := memory.Attach()
	if err != nil {
		log.Fatal(err)
	}
	defer table.Detach()

	if err := lock.P(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	copy(table.Bytes(), "hello") // if this process is killed here, the lock is free
	if err := lock.V(1); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", table.Bytes()[:5])
	// Output: hello
}

// Producer and consumer: what is counted must outlive the producer, so nothing is undone.
func ExampleSemaphore() {
	items, err := sysv.CreateSemaphore(sysv.Private, 0, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer items.Remove()
	items.NoUndo = true

	go func() {
		if err := items.V(1); err != nil {
			log.Print(err)
		}
	}()
	if err := items.P(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	fmt.Println("one item")
	// Output: one item
}

// The highest priority first: types are priorities, and a negative type asks for the lowest up to it.
func ExampleQueue_Receive() {
	q, err := sysv.CreateQueue(sysv.Private, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Remove()
	for typ, text := range map[int64]string{3: "sweep the floor", 1: "put out the fire"} {
		if err := q.Send(context.Background(), typ, []byte(text)); err != nil {
			log.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	for range 2 {
		_, n, err := q.Receive(context.Background(), -9, buf, 0)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(buf[:n]))
	}
	// Output:
	// put out the fire
	// sweep the floor
}
