import Bundles
import Foundation
import Glibc
import Testing
import Wire

private let hasAgent = Program.has("ssh-agent") && Program.has("ssh-add") && Program.has("ssh-keygen")

/// A real ssh-agent, which ends with the value.
private final class Agent {
    let socket: String
    private let pid: pid_t

    init(_ world: World) throws {
        // A socket's path is short.
        socket = "/tmp/consilium-\(UInt32.random(in: .min ... .max)).agent"
        let started = try world.shell("ssh-agent -a \(socket)")
        let number = started.output.split(separator: "SSH_AGENT_PID=").last?.prefix { $0.isNumber }
        pid = try #require(number.flatMap { pid_t($0) })
        world.environment["SSH_AUTH_SOCK"] = socket
    }

    func add(_ key: String, in world: World) throws {
        try world.shell("SSH_AUTH_SOCK=\(socket) ssh-add -q \(key)")
    }

    func forgetAll(in world: World) throws { try world.shell("SSH_AUTH_SOCK=\(socket) ssh-add -q -D") }

    deinit {
        kill(pid, SIGTERM)
        unlink(socket)
    }
}

extension World {
    /// A key pair as ssh-keygen makes it, `NAME` and `NAME.pub`, which the agent holds.
    fileprivate func makeKey(_ name: String, for agent: Agent) throws {
        try shell("ssh-keygen -q -t ed25519 -N '' -C \(name) -f \(name)")
        try agent.add(name, in: self)
    }
}

/// Keys that no file of ours holds in the open: an agent's, and those under a passphrase.
@Suite(.enabled(if: hasAgent, "ssh-agent is not installed")) struct AgentCommandTests {
    @Test func aHomeWhoseKeyIsInAnAgentTakesPartAndStopsCleanlyWithoutIt() throws {
        let world = try World.initialised()
        let agent = try Agent(world)
        try world.shell("ssh-keygen -q -t ed25519 -N '' -C clinic -f key && mkdir -m 700 -p d/identity")
        try agent.add("key", in: world)
        try world.shell("cp key.pub d/identity/agent.pub && rm key")
        let made = try world.json(
            "client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar", "--data",
            try Material.pictures.get() + "/client-1")
        #expect(!world.exists("d/identity/id_ed25519"))
        #expect(try world.json("key", "show", "--home", "d")["in_agent"] == .bool(true))
        try world.answer("d")
        try world.serve()
        let fingerprint = try #require(made["fingerprint"].text)
        #expect(try world.text("S/enrolments/PENDING.txt").contains(fingerprint))
        try world.approveEnrolments()
        try world.visit("d")
        try world.succeed("client", "request", "--home", "d", "--rounds", "1")
        // What ssh-keygen makes of it.
        let request = try #require(world.names("d/outbox", "request").first)
        let opened = try world.opened("d/outbox/\(request)")
        try world.shell(
            """
            mkdir x && cd x && tar xf ../\(opened) && ssh-keygen -Y verify -f ../S/trust/allowed_signers -I hospital-d \
            -n request@consilium -s manifest.json.sig < manifest.json
            """)
        // Not there, without the key, nowhere: exit status 75, one line, and not a byte is different.
        try agent.forgetAll(in: world)
        let before = try Snapshot(world.path("d"))
        for (socket, words) in [
            (agent.socket, "does not hold the key"), ("/nowhere", "cannot connect to /nowhere"),
            ("", "does not say where"),
        ] {
            world.environment["SSH_AUTH_SOCK"] = socket
            for command in [["client", "run"], ["client", "request", "--rounds", "1"], ["key", "rotate"]] {
                let stopped = try world.run(command + ["--home", "d"])
                #expect(stopped.status == 75 && stopped.output.isEmpty, "\(stopped)")
                #expect(stopped.errors.contains(words), "\(stopped)")
                #expect(stopped.errors.split(separator: "\n").count == 1, "\(stopped)")
            }
        }
        #expect(before.contentChanges(to: try Snapshot(world.path("d"))) == [])
        // To look is possible without it.
        #expect(try world.run("client", "status", "--home", "d").status == 0)
    }

    @Test func aServerMovesItsKeyIntoAnAgentByARotation() throws {
        let world = try World.enrolled()
        let agent = try Agent(world)
        try world.shell("ssh-keygen -q -t ed25519 -N '' -C ministry -f key")
        let early = try world.run("key", "rotate", "--agent", "key.pub", "--home", "S")
        #expect(early.status == 75 && early.errors.contains("does not hold the key"), "\(early)")
        #expect(!world.names("S/identity").contains { $0.contains("next") })
        try agent.add("key", in: world)
        let new = try #require(
            try world.json("key", "rotate", "--agent", "key.pub", "--home", "S")["fingerprint"].text)
        world.advance(seconds: 60)
        for home in World.everybody {
            try world.visit(home)
            try world.answer(home)
        }
        #expect(try world.serve().output.contains("the new key \(new) signs from now on"))
        #expect(!world.exists("S/identity/id_ed25519") && world.exists("S/identity/agent.pub"))
        try world.startSession(rounds: 1)
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// A key is announced once: after its rejection nothing would follow, and with '--lost' nobody would ever know it.
    @Test func anAgentsKeyThatWasRejectedIsNotTakenAgain() throws {
        let world = try World.enrolled()
        let agent = try Agent(world)
        try world.shell("ssh-keygen -q -t ed25519 -N '' -C hospital-a -f key")
        try agent.add("key", in: world)
        try world.succeed("key", "rotate", "--agent", "key.pub", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/enrolments/pending/ENR-4-* S/enrolments/rejected/")
        try world.serve()
        try world.visit("a")
        let signing = try world.fingerprint("a")
        for more in [[], ["--lost"]] {
            let refused = try world.run(["key", "rotate", "--agent", "key.pub", "--home", "a"] + more)
            #expect(refused.status == 77 && refused.errors.contains("was announced to ministry before"), "\(refused)")
        }
        #expect(try world.fingerprint("a") == signing)
    }

    /// A thief has the agent's key, or nobody: it is no new one, and the server would not hear of what is new beside it.
    /// - Parameter isFirst: the home began with it, as against a rotation.
    @Test(arguments: [false, true]) func theKeyInUseIsNoNewOne(isFirst: Bool) throws {
        let world = isFirst ? try World.initialised() : try World.enrolled()
        let agent = try Agent(world)
        let home = isFirst ? "d" : "a"
        try world.makeKey("key", for: agent)
        if isFirst {
            try world.shell("mkdir -m 700 -p d/identity && cp key.pub d/identity/agent.pub")
            try world.succeed("client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar")
        } else {
            try world.succeed("key", "rotate", "--agent", "key.pub", "--home", home)
        }
        try world.answer(home)
        try world.serve()
        try world.approveEnrolments()
        try world.visit(home)
        #expect(try world.json("key", "show", "--home", home)["in_agent"] == .bool(true))
        let before = try Snapshot(world.path(home))
        for more in [[], ["--age"], ["--lost"]] {
            let refused = try world.run(["key", "rotate", "--agent", "key.pub", "--home", home] + more)
            #expect(refused.status == 77 && refused.errors.contains("is hospital-\(home)'s already"), "\(refused)")
        }
        #expect(before.contentChanges(to: try Snapshot(world.path(home))) == [])
        try world.succeed("key", "rotate", "--home", home)
        let refused = try world.run("key", "rotate", "--lost", "--agent", "key.pub", "--home", home)
        #expect(refused.status == 77, "\(refused)")
        try world.makeKey("other", for: agent)
        try world.succeed("key", "rotate", "--lost", "--agent", "other.pub", "--home", home)
    }

    @Test func aServersKeyInUseIsNoNewOne() throws {
        let world = try World.enrolled()
        let agent = try Agent(world)
        try world.makeKey("key", for: agent)
        try world.succeed("key", "rotate", "--compromised", "--agent", "key.pub", "--home", "S")
        for more in [[], ["--age"], ["--compromised"]] {
            let before = try Snapshot(world.path("S"))
            let refused = try world.run(["key", "rotate", "--agent", "key.pub", "--home", "S"] + more)
            #expect(refused.status == 77 && refused.errors.contains("is ministry's already"), "\(refused)")
            #expect(before.contentChanges(to: try Snapshot(world.path("S"))) == [])
        }
        // Nor is one that was given up before.
        try world.makeKey("other", for: agent)
        try world.succeed("key", "rotate", "--compromised", "--agent", "other.pub", "--home", "S")
        let revoked = try world.run("key", "rotate", "--compromised", "--agent", "key.pub", "--home", "S")
        #expect(revoked.status == 77 && revoked.errors.contains("is ministry's already"), "\(revoked)")
        // Where the key's file is gone, the agent's takes its place, and no other.
        try world.makeKey("third", for: agent)
        try world.shell("rm S/identity/agent.pub")
        try world.succeed("key", "rotate", "--lost", "--agent", "third.pub", "--home", "S")
        #expect(try world.json("key", "show", "--home", "S")["in_agent"] == .bool(true))
    }

    /// Its enrolment is on its way and names the age identity of before.
    @Test func aKeyWhoseEnrolmentIsUnderWayReplacesNone() throws {
        let world = try World.enrolled()
        let agent = try Agent(world)
        try world.makeKey("key", for: agent)
        try world.succeed("key", "rotate", "--agent", "key.pub", "--home", "a")
        let before = try Snapshot(world.path("a"))
        let refused = try world.run("key", "rotate", "--lost", "--agent", "key.pub", "--home", "a")
        #expect(refused.status == 77 && refused.errors.contains("was announced to ministry before"), "\(refused)")
        // Nor does that rotation end for a key that nobody holds.
        try world.shell("ssh-keygen -q -t ed25519 -N '' -f nobodys")
        #expect(try world.run("key", "rotate", "--lost", "--agent", "nobodys.pub", "--home", "a").status == 75)
        #expect(before.contentChanges(to: try Snapshot(world.path("a"))) == [])
        try world.makeKey("other", for: agent)
        try world.succeed("key", "rotate", "--lost", "--agent", "other.pub", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/enrolments/pending/ENR-4-* S/enrolments/approved/")
        try world.serve()
        #expect(try world.trusted("hospital-a", at: "S") == [try world.fingerprint("a")])
    }

    /// Whoever does not know whether it was done says the same again.
    @Test(.enabled(if: Strace.isUsable, "strace cannot be used"))
    func aKilledReplacementByAnAgentsKeyIsFinishedByTheSameCommand() throws {
        let template = try World.enrolled()
        let agent = try Agent(template)
        try template.makeKey("key", for: agent)
        let command = ["key", "rotate", "--lost", "--agent", "key.pub", "--home", "a"]
        let undisturbed = try World.copy(of: template.root)
        undisturbed.environment = template.environment
        // What a run changes it renames into its place or removes.
        let counts = try Strace.count(["rename", "unlink"], of: command, home: "a", in: undisturbed)
        let points = counts.sorted { $0.key < $1.key }.flatMap { call, numbers in
            numbers.map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        #expect(points.count > 10)
        for point in points {
            let world = try World.copy(of: template.root)
            world.environment = template.environment
            _ = try Strace.run(command, injecting: point, in: world)
            for _ in 0..<2 {
                let again = try world.run(command)
                #expect(again.status == 0 && again.output.contains("new key:"), "\(point): \(again)")
            }
            let key = try world.fingerprint("a")
            let own = try world.text("a/trust/allowed_signers").split(separator: "\n").filter {
                $0.hasPrefix("hospital-a ")
            }
            #expect(own.count == 2 && own.filter { $0.contains("valid-before") }.count == 1, "\(point): \(own)")
            #expect(own.last?.contains("valid-before") == false, "\(point): \(own)")
            try world.answer("a")
            try world.serve()
            try world.approveEnrolments()
            #expect(try world.trusted("hospital-a", at: "S") == [key], "\(point)")
            let recipient = try AgeIdentity(identityFile: try world.bytes("a/identity/age.txt")).recipient
            #expect(try world.text("S/trust/recipients").contains("hospital-a \(recipient)\n"), "\(point)")
            // The server has it: it is a key as any other now.
            try world.visit("a")
            let late = try world.run(command)
            #expect(late.status == 77 && late.errors.contains("is hospital-a's already"), "\(point): \(late)")
        }
    }

    /// The machine with the agent was stolen: the old key can be asked for nothing any more.
    @Test(arguments: ["S", "a"]) func aKeyThatWasLostWithItsAgentIsReplaced(home: String) throws {
        let world = try World.enrolled()
        let agent = try Agent(world)
        try world.shell("ssh-keygen -q -t ed25519 -N '' -C there -f key")
        try agent.add("key", in: world)
        try world.succeed("key", "rotate", "--agent", "key.pub", "--home", home)
        if home == "a" {
            try world.answer("a")
            try world.serve()
            try world.approveEnrolments()
            try world.visit("a")
        } else {
            world.advance(days: 31)
            try world.serve()
        }
        #expect(world.exists("\(home)/identity/agent.pub") && !world.exists("\(home)/identity/id_ed25519"))
        let old = try world.fingerprint(home)
        try agent.forgetAll(in: world)
        for socket in [agent.socket, "/nowhere", ""] {
            let copy = try World.copy(of: world.root)
            copy.now = world.now
            copy.environment["SSH_AUTH_SOCK"] = socket
            try copy.succeed("key", "rotate", "--lost", "--home", home)
            #expect(try copy.fingerprint(home) != old && !copy.exists("\(home)/identity/agent.pub"))
            try copy.succeed(home == "S" ? "server" : "client", "run", "--home", home)
        }
    }

    @Test func aKeyUnderAPassphraseIsRefusedInOneLineWithAHint() throws {
        let world = try World.initialised()
        try world.shell("mkdir -m 700 -p d/identity && ssh-keygen -q -t ed25519 -N secret -f d/identity/id_ed25519")
        let before = try Snapshot(world.path("d"))
        let refused = try world.run("client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar")
        #expect(refused.status == 77 && refused.output.isEmpty, "\(refused)")
        let lines = refused.errors.split(separator: "\n")
        #expect(
            lines.count == 2 && lines[0].hasSuffix("is protected by a passphrase, which nobody could type in the night")
        )
        #expect(lines[1].hasPrefix("hint: ssh-add it to an agent"), "\(refused)")
        let after = try Snapshot(world.path("d"))
        #expect(before.entries["identity/id_ed25519"] == after.entries["identity/id_ed25519"])
        #expect(!world.exists("d/mailbox/home.json") && world.names("d/outbox").isEmpty)
    }
}
