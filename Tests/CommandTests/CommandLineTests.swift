import Files
import Foundation
import Glibc
import SystemPackage
import Testing
import Wire

/// Mistakes on the command line: the exit status of STYLE, one clear line, at most one hint, no half-made home.
@Suite struct CommandLineTests {
    struct Mistake: CustomStringConvertible, Sendable {
        let arguments: String
        let status: Int32
        let says: String
        var environment: [String: String] = [:]
        var description: String { arguments }
    }

    /// `PICTURE` stands for a picture, `PICTURES` for a folder of few; homes `S` and `a` are enrolled.
    static let mistakes = [
        Mistake(arguments: "server run --home nowhere", status: 78, says: "nowhere is not a home"),
        Mistake(arguments: "server run --home a", status: 78, says: "is a client's home"),
        Mistake(arguments: "client run --home S", status: 78, says: "is a server's home"),
        Mistake(arguments: "server sessions", status: 64, says: "no home is given"),
        Mistake(arguments: "server init --home S --name other", status: 73, says: "S"),
        Mistake(arguments: "server init --home new --name Not_A_Name", status: 64, says: "'Not_A_Name' is not a name"),
        Mistake(
            arguments: "client init --home new --name x --invite PICTURE", status: 65, says: "the invite cannot be used"
        ),
        Mistake(arguments: "client init --home new --name x --invite nosuch.tar", status: 66, says: "nosuch.tar"),
        Mistake(
            arguments: "client init --home new --name x --invite invite.tar --data nosuch", status: 66, says: "--data"),
        Mistake(
            arguments: "client init --home new --name ministry --invite invite.tar", status: 64,
            says: "server's own name"),
        Mistake(
            arguments: "client init --home new --name x --invite invite.tar", status: 65,
            says: "the invite expired on 2026-03-31T08:00:00Z", environment: ["CONSILIUM_NOW": "2027-01-01T00:00:00Z"]),
        Mistake(
            arguments: "client init --home new --name x --invite invite.tar --data .", status: 64,
            says: "lie in each other"),
        Mistake(arguments: "client request --home a --rounds 0", status: 64, says: "rounds"),
        Mistake(arguments: "client request --home a --train-from layer9", status: 64, says: "train_from"),
        Mistake(arguments: "client accept --home a 7", status: 66, says: "version 7 was not offered"),
        Mistake(arguments: "client plans --home a --approve 3", status: 66, says: "there is no plan PLAN-3"),
        Mistake(arguments: "client withdraw --home a", status: 66, says: "there is no such open request"),
        Mistake(arguments: "server approve --home S REQ-9", status: 66, says: "there is no request 'REQ-9'"),
        Mistake(arguments: "server reject --home S REQ-9", status: 66, says: "there is no request 'REQ-9'"),
        Mistake(arguments: "server version --home S 9", status: 66, says: "there is no version 9"),
        Mistake(arguments: "server extend --home S spring 3", status: 66, says: "there is no session 'spring'"),
        Mistake(arguments: "server drop --home S spring hospital-a", status: 66, says: "there is no session 'spring'"),
        Mistake(arguments: "server verify --home S spring", status: 66, says: "there is no session 'spring'"),
        Mistake(arguments: "predict --home a PICTURE", status: 66, says: "model"),
        Mistake(arguments: "evaluate --home a nosuch", status: 66, says: "model"),
        Mistake(arguments: "bundle verify nosuch.tar", status: 66, says: "nosuch.tar"),
        Mistake(arguments: "bundle verify PICTURE", status: 65, says: "phantom"),
        Mistake(arguments: "data split nosuch out --clients 3", status: 66, says: "nosuch"),
        Mistake(arguments: "model init --home S --arch nosuch --classes a,b", status: 64, says: "nosuch"),
        Mistake(arguments: "model import --home S --arch smallcnn --classes a,b PICTURE", status: 65, says: "phantom"),
        Mistake(arguments: "simulate nosuch --clients 3", status: 66, says: "nosuch"),
        Mistake(
            arguments: "simulate PICTURES --clients 100", status: 65, says: "of 100 clients would get no pictures"),
        Mistake(
            arguments: "simulate PICTURES --clients 3 --skew 1", status: 64,
            says: "client-1 and 1 more of 3 hospitals would get pictures of fewer than two classes"),
        Mistake(
            arguments: "data split PICTURES out --clients 100", status: 65, says: "of 100 clients would get no pictures"
        ),
        Mistake(arguments: "simulate nosuch --size 3", status: 64, says: "image size 3 does not suit smallcnn"),
        Mistake(
            arguments: "simulate nosuch --size 3 --arch resnet18", status: 64,
            says: "image size 3 does not suit resnet18"),
        Mistake(
            arguments: "model init --home S --arch smallcnn --classes a,b --size 3", status: 64,
            says: "image size 3 does not suit smallcnn"),
        Mistake(
            arguments: "client run --home a", status: 64, says: "CONSILIUM_NOW: yesterday is not a time",
            environment: ["CONSILIUM_NOW": "yesterday"]),
        Mistake(
            arguments: "client run --home a", status: 64, says: "CONSILIUM_ISA", environment: ["CONSILIUM_ISA": "mmx"]),
    ]

    /// None of the mistakes may change a home, so all of them may share one folder.
    private static let shared = Result { try World.enrolled().root }

    /// One after the other: the home that they share has one lock, and "another run is at work" is not their mistake.
    @Test(.serialized, arguments: mistakes)
    func aMistakeIsOneClearLine(_ mistake: Mistake) throws {
        let world = World(root: try Self.shared.get())
        let test = "\(try Material.pictures.get())/test/glioma"
        let picture = try #require(World(root: test).names("").first)
        let arguments = mistake.arguments.split(separator: " ").map {
            switch $0 {
            case "PICTURE": "\(test)/\(picture)"
            case "PICTURES": String(test.dropLast("/glioma".count))
            default: String($0)
            }
        }
        let clock = ["CONSILIUM_NOW": world.now.rfc3339].merging(mistake.environment) { $1 }
        let outcome = try Program.run(arguments, in: world.root, environment: clock)
        #expect(outcome.status == mistake.status, "\(outcome)")
        #expect(outcome.output.isEmpty, "\(outcome)")
        let lines = outcome.errors.split(separator: "\n")
        let message = try #require(lines.first, "\(outcome)")
        #expect(message.hasPrefix("consilium: ") && message.contains(mistake.says), "\(outcome)")
        #expect(!message.hasSuffix("."), "\(outcome)")
        #expect(lines.count == 1 || lines.count == 2 && lines[1].hasPrefix("hint: "), "\(outcome)")
        for word in ["Fatal error", "Swift/", "Error(", "Optional("] { #expect(!outcome.errors.contains(word)) }
        #expect(!world.exists("new"), "a failed command left a home behind")
        #expect(!world.exists("out"))
    }

    @Test(arguments: [
        ("S", "keep_verions: 3", "keep_verions: is not a known key; did you mean 'keep_versions'?"),
        ("S", "learning_rate: fast", "learning_rate"),
        ("S", "deadline: 14", "deadline: must be a duration such as 14d, 12h or 30m"),
        ("S", "minimum_clients: [", "consilium.yaml"),
        ("a", "time_bugdet: 8h", "time_bugdet: is not a known key; did you mean 'time_budget'?"),
        ("a", "time_budget: 8 parsecs", "time_budget"),
        ("a", "encrypt: maybe", "encrypt"),
        ("S", "encrypt: maybe", "encrypt"),
        ("a", "validation: 2", "validation"),
    ])
    func aMistakeInTheConfigurationIsNamed(home: String, line: String, says: String) throws {
        let world = try World.enrolled()
        if line.hasPrefix("learning_rate") {
            try world.shell("sed -i '/^learning_rate/d' S/consilium.yaml")
        }
        try world.configure(home, line)
        let outcome = try world.run(home == "S" ? "server" : "client", "run", "--home", home)
        #expect(outcome.status == 78, "\(outcome)")
        #expect(outcome.errors.hasPrefix("consilium: ") && outcome.errors.contains(says), "\(outcome)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome)")
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78)
        #expect(doctor.output.contains("MEND configuration"))
    }

    /// Text of other bytes than UTF-8's would be another name than the one that was given.
    @Test func aNameThatIsNotUTF8IsRefused() throws {
        let world = try World.initialised()
        let told = try Program.shell(
            "'\(Program.path)' client init --home \"$(printf 'st\\344dtisch')\" --name x --invite invite.tar",
            in: world.root)
        #expect(told.status == 64 && told.errors.contains("dtisch' is not UTF-8"), "\(told)")
        #expect(world.names(".").allSatisfy { !$0.contains("dtisch") })
    }

    @Test func unknownCommandsAndFlagsAreUsage() throws {
        let world = try World.empty()
        for line in ["bogus", "server bogus", "server run --bogus", "client init --home x"] {
            let outcome = try world.run(line.split(separator: " ").map(String.init))
            #expect(outcome.status == 64, "\(outcome)")
            #expect(outcome.errors.hasPrefix("consilium: "))
        }
        #expect(try world.run("--help").status == 0)
        #expect(try world.run("server", "run", "--help").output.contains("crontab"))
        #expect(try world.run("--version").output == "0.1.0\n")
    }

    /// The word that is wrong is the one that is named, whatever stands behind it.
    @Test(arguments: [
        ("server runn", "unknown command 'runn'; did you mean 'run'?"),
        ("server runn --home S", "unknown command 'runn'; did you mean 'run'?"),
        ("serve run --home S", "unknown command 'serve'; did you mean 'server'?"),
        ("help nix", "unknown command 'nix'"), ("help server runn", "unknown command 'runn'; did you mean 'run'?"),
        ("key roate --lost", "unknown command 'roate'; did you mean 'rotate'?"),
    ])
    func aMistypedCommandIsNamed(line: String, says: String) throws {
        let outcome = try World.empty().run(line.split(separator: " ").map(String.init))
        #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("consilium: \(says)\nhint: '"), "\(outcome)")
    }

    @Test(arguments: ["help", "help server", "help server run", "server", "help help", "--help", "server --help"])
    func helpIsGiven(line: String) throws {
        let outcome = try World.empty().run(line.split(separator: " ").map(String.init))
        #expect(outcome.status == 0 && outcome.output.contains("USAGE:"), "\(outcome)")
    }

    /// What an example shows can be pasted as it is shown.
    @Test func examplesCanBePasted() throws {
        let world = try World.empty()
        let dump = try world.run("--experimental-dump-help").output
        let root = try StrictJSON.parse(Array(dump.utf8), maximumBytes: 16 << 20)["command"]
        var commands = [(root, [String]())]
        var count = 0
        while let (command, path) = commands.popLast() {
            commands += command["subcommands"].items.map { ($0, path + [$0["commandName"].text ?? ""]) }
            guard let text = command["discussion"].text, let start = text.range(of: "EXAMPLES:\n") else { continue }
            count += 1
            let examples = text[start.upperBound...]
            // The help is wrapped at 80 columns, where a shell does not know that a line goes on.
            let help = try world.run(path + ["--help"]).output
            #expect(help.contains(examples), "\(path): \(help)")
            var goesOn = false
            for line in examples.split(separator: "\n") {
                #expect(line.count < 80, "\(path): \(line)")
                let isCommand = line.hasPrefix("  consilium ")
                let isCrontab = line.contains(#/^ {2}[0-9*/]+( [0-9*]+){4} consilium /#)
                #expect(goesOn ? line.hasPrefix("      ") : isCommand || isCrontab, "\(path): \(line)")
                #expect(line.contains(" # ") || !line.dropFirst(2).contains("   ") || goesOn, "\(path): \(line)")
                goesOn = line.hasSuffix(" \\")
            }
            #expect(!goesOn, "\(path)")
        }
        #expect(count > 50)
    }

    /// A hint names only what there is.
    @Test(arguments: [
        (
            "model init --home a --arch smallcnn --classes a,b",
            "hint: name a server's home with --home\n"
        ),
        (
            "key distrust --home S SHA256:cDPgk2QdELwyPFQPOjTtaNNnzP/Mt2lEFGkgo1ceFN4",
            "hint: name a client's home with --home\n"
        ),
    ])
    func aHintForAnotherHomeNamesNoCommandThatIsNotThere(line: String, hint: String) throws {
        let world = try World.enrolled()
        let outcome = try world.run(line.split(separator: " ").map(String.init))
        #expect(outcome.status == 78 && outcome.errors.hasSuffix(hint), "\(outcome)")
    }

    /// A line of the history that nobody can read is no missing line.
    @Test func aDamagedHistoryIsNamed() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        try world.visit("a")
        let good = try world.text("a/history/rounds.jsonl")
        for damaged in ["no history\n", good + "no history\n", "no history\n" + good] {
            try world.write(damaged, to: "a/history/rounds.jsonl")
            let outcome = try world.run("client", "history", "--home", "a")
            #expect(outcome.status == 70 && outcome.errors.contains("a/history/rounds.jsonl"), "\(outcome)")
        }
        // A kill tore the last line; the next round's takes its place.
        try world.write(good + good.prefix(40), to: "a/history/rounds.jsonl")
        #expect(try world.json("client", "history", "--home", "a")["rounds"].items.count == 1)
        for home in World.everybody { try world.answer(home) }
        try world.journey(["b", "c"])
        try world.visit("a")
        #expect(try world.json("client", "history", "--home", "a")["rounds"].items.count == 2)
    }

    /// A key that others can read is refused, whatever the command.
    @Test func aReadableKeyIsRefused() throws {
        let world = try World.enrolled()
        try world.shell("chmod 644 a/identity/id_ed25519")
        let outcome = try world.run("client", "run", "--home", "a")
        #expect(outcome.status == 77, "\(outcome)")
        #expect(outcome.errors.contains("id_ed25519"))
        #expect(try world.run("doctor", "--home", "a").output.contains("MEND keys"))
    }

    /// What root wrote there would stop each later run of the account whose home it is.
    @Test(.enabled(if: getuid() == 0, "only root can give files away"))
    func rootLeavesTheHomesOfOthersAlone() throws {
        let world = try World.enrolled()
        try world.shell("chown -R 65534 a S")
        let before = try Snapshot(world.path("a"))
        let lines = ["client run --home a", "client withdraw --home a", "key rotate --home a", "server run --home S"]
        for line in lines + ["model init --home S --arch smallcnn --classes a,b", "server sessions --home S"] {
            let outcome = try world.run(line.split(separator: " ").map(String.init))
            #expect(outcome.status == 77 && outcome.errors.contains(" belongs to nobody, "), "\(outcome)")
            #expect(outcome.errors.contains("hint: run it as that user: sudo -u nobody consilium"), "\(outcome)")
        }
        #expect(before.changes(to: try Snapshot(world.path("a"))) == [])
        try world.succeed("client", "status", "--home", "a")
        #expect(try world.succeed("doctor", "--home", "a").output.contains("ok   owner: all of it is nobody's"))
        // What somebody did before.
        try world.shell("chown 0 a/mailbox/lock && touch a/inbox/brought.tar")
        let doctor = try world.run("doctor", "--home", "a")
        #expect(doctor.output.contains("MEND owner: \(world.path("a/mailbox/lock")) belongs to root, the home"))
        #expect(doctor.output.contains("chown -R nobody \(world.path("a"))"), "\(doctor)")
    }

    /// The home may also come from the working directory or the environment.
    @Test func theHomeIsFoundWithoutAFlag() throws {
        let world = try World.enrolled()
        let here = try Program.run(["client", "status", "--json"], in: world.path("a"))
        #expect(here.status == 0 && here.output.contains("hospital-a"))
        world.environment["CONSILIUM_HOME"] = world.path("b")
        #expect(try world.json("client", "status")["name"].text == "hospital-b")
    }

    /// Nothing comes back for a fortnight: somebody should ask the courier.
    @Test func whatNobodyAcknowledgesIsNoticed() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        func outbox() throws -> String {
            let doctor = try world.run("doctor", "--home", "a").output
            return doctor.split(separator: "\n").first { $0.contains("outbox:") }.map(String.init) ?? doctor
        }
        world.advance(days: 13)
        var told = try outbox()
        #expect(told.hasPrefix("ok   outbox: 1 bundle is"), "\(told)")
        world.advance(days: 2)
        told = try outbox()
        #expect(told.hasPrefix("MEND outbox"), "\(told)")
        // The server's receipt of the first day was not carried and is gone: the courier brings the request once more.
        try world.answer("a")
        try world.serve()
        try world.visit("a")
        told = try outbox()
        #expect(told.hasPrefix("ok "), "\(told)")
    }

    /// A result that reached nobody is no success; a reader that has seen enough is.
    @Test func outputThatCannotBeWrittenIsAFailure() throws {
        let world = try World.enrolled()
        let full = try Program.shell("'\(Program.path)' key show --home a > /dev/full", in: world.root)
        #expect(full.status == 74, "\(full)")
        #expect(full.errors == "consilium: cannot write to standard output: no space left on device\n", "\(full)")
        let left = try Program.shell(
            "{ sleep 0.2; '\(Program.path)' key show --home a; echo $? >&2; } | true; sleep 0.5", in: world.root)
        #expect(left.errors == "0\n", "\(left)")
    }

    /// The progress line is drawn over itself, and so must not wrap.
    @Test(.enabled(if: Program.has("script"), "util-linux's script is not installed"))
    func theProgressLineFitsTheTerminal() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.carry("S", to: "a")
        let run = "stty cols 30; CONSILIUM_NOW=\(world.now.rfc3339) '\(Program.path)' client run --home a"
        let shown = try world.shell("script -qec \"\(run)\" /dev/null < /dev/null").output
        let drawn = shown.split(separator: "\r").filter { $0.hasPrefix("\u{1b}[Kround") }
        #expect(!drawn.isEmpty && drawn.allSatisfy { $0.count - 3 == 29 }, "\(shown)")
    }

    /// It tells the time of a home where a run is at work, and leaves to the next run what a stopped one left behind.
    @Test func doctorOnlyLooks() throws {
        let world = try World.enrolled()
        try world.write("left", to: "a/mailbox/spool/1.tar")
        let before = try Snapshot(world.path("a"))
        func clock() throws -> Substring? {
            try world.run("doctor", "--home", "a").output.split(separator: "\n").first { $0.contains("clock:") }
        }
        #expect(try clock() == "ok   clock: \(world.now.rfc3339)")
        guard let lock = try LocalFileSystem().lock(FilePath(world.path("a/mailbox/lock"))) else {
            throw TestTrouble("somebody else holds the home")
        }
        #expect(try clock() == "ok   clock: \(world.now.rfc3339)")
        // A run has nothing to do here, and says so to a program in the usual document.
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        let busy = try world.json("client", "run", "--home", "a", "--verbose")
        #expect(busy["busy"] == .bool(true) && busy["details"].items.count == 1)
        // To look takes no hold of a home in which a training may go on all night.
        for look in ["status", "plans", "updates"] { try world.succeed("client", look, "--home", "a") }
        #expect(try world.run("client", "accept", "1", "--home", "a").status == 75)
        _ = consume lock
        #expect(before.changes(to: try Snapshot(world.path("a"))) == [])
        world.advance(days: -2)
        #expect(try clock()?.hasPrefix("MEND clock: the clock says") == true)
    }

    @Test func anEditedAuditIsNoticed() throws {
        let world = try World.enrolled()
        try world.succeed("server", "audit", "--home", "S")
        try world.shell("sed -i '2s/initialized/imported/' S/audit/audit.jsonl")
        let outcome = try world.run("server", "audit", "--home", "S")
        #expect(outcome.status != 0 && outcome.status < 126, "\(outcome)")
        #expect(try world.run("doctor", "--home", "S").output.contains("MEND audit"))
    }
}
