package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/isonet/isonet/client"
)

// A network is made, attached to the daemon's host, and looked at. Beside the
// daemon the socket need not be given.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Options{Socket: os.Getenv("ISONET_SOCKET"), UserAgent: "example/1.0"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	red, err := c.CreateNetwork(ctx, client.NetworkChange{Name: new("red"), MTU: new(1400)})
	if err != nil {
		log.Fatal(err)
	}
	before, err := c.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.SetupNetworks(ctx, before.Host.ID, client.SetupNetworks{Attach: []string{red.ID}}); err != nil {
		log.Fatal(err)
	}
	now, err := c.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range now.Networks {
		fmt.Printf("%s: %s, bridge %s, MTU %d\n", n.Name, n.State, n.Bridge, n.MTU.Actual)
	}
	if err := c.DeleteNetwork(ctx, red.ID, false); err != nil {
		log.Fatal(err)
	}
	// Output: red: active, bridge red, MTU 1400
}

// A refusal says which rule refuses, and about what.
func ExampleFault() {
	ctx := context.Background()
	c, err := client.New(client.Options{Socket: os.Getenv("ISONET_SOCKET")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	blue, err := c.CreateNetwork(ctx, client.NetworkChange{Name: new("blue")})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.CreateNetwork(ctx, client.NetworkChange{Name: new("blue")})
	var fault *client.Fault
	switch {
	case errors.As(err, &fault):
		for _, r := range fault.Refusals {
			fmt.Println(fault.Status, r.Code, r.Args)
		}
	case errors.Is(err, client.ErrUnknown):
		fmt.Println("it may be there: look before it is made again")
	case errors.Is(err, client.ErrUnreachable):
		fmt.Println("is isonetd running?")
	}
	if err := c.DeleteNetwork(ctx, blue.ID, false); err != nil {
		log.Fatal(err)
	}
	// Output: 409 name-taken [blue add]
}

// Many networks are made at once, or none of them. A plan says beforehand what
// that would change in Open vSwitch.
func ExampleClient_Plan() {
	ctx := context.Background()
	c, err := client.New(client.Options{Socket: os.Getenv("ISONET_SOCKET")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	status, err := c.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	networks := []client.PutNetwork{
		{NetworkChange: client.NetworkChange{Name: new("green")}},
		{NetworkChange: client.NetworkChange{Name: new("yellow")}},
	}
	change := client.Change{Put: networks, Host: status.Host.ID, Setup: client.SetupNetworks{Attach: []string{"green"}}}
	plan, err := c.Plan(ctx, client.PlanChange(change))
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range plan.Operations {
		fmt.Println(o.Do, o.Bridge)
	}
	done, err := c.Apply(ctx, change)
	if err != nil {
		log.Fatal(err)
	}
	var made []string
	for _, n := range done {
		fmt.Println(n.Name, n.Outcome)
		made = append(made, n.ID)
	}
	if _, err := c.Apply(ctx, client.Change{Remove: made}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// create-bridge green
	// green created
	// yellow created
}

// The host is followed until all of its networks are active. A daemon that is
// restarted meanwhile is waited for.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Options{Socket: os.Getenv("ISONET_SOCKET")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	for status, err := range c.Watch(ctx) {
		if errors.Is(err, client.ErrUnauthorized) {
			log.Fatal(err)
		}
		if err != nil {
			continue // Watch connects again
		}
		active := 0
		for _, n := range status.Networks {
			if n.Active() {
				active++
			}
		}
		if status.Connected && active == len(status.Networks) {
			fmt.Println("all is well")
			break
		}
	}
	// Output: all is well
}
