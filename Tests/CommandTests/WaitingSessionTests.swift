import Testing
import Wire

/// A session that does not begin says why, as long as it waits.
@Suite struct WaitingSessionTests {
    private let folder = "S/requests/approved/spring"

    /// What `server sessions`, `server run -v` and doctor say of the session spring.
    private func reasons(_ world: World) throws -> (list: String, idle: String, doctor: Outcome) {
        (
            try world.session("spring")["waiting_reason"].text ?? "", try world.serve().output,
            try world.run("doctor", "--home", "S")
        )
    }

    private func requested(_ homes: [String], plan: String? = nil, file: String = "plan.yaml") throws -> World {
        let world = try World.enrolled()
        try world.request(homes, rounds: 1)
        try world.shell("mkdir -p \(folder)")
        if let plan { try world.write(plan, to: "\(folder)/\(file)") }
        return world
    }

    @Test func aWrongPlanIsShownUntilItIsMended() throws {
        let world = try requested(["a", "b"], plan: "rouns: 2\n")
        try world.shell("mv S/requests/pending/*.tar \(folder)/")
        #expect(try world.serve().output.contains("session spring cannot start: "))
        let (list, idle, doctor) = try reasons(world)
        for text in [list, idle, doctor.output] { #expect(text.contains("'rouns' is not a key of a plan"), "\(text)") }
        #expect(
            doctor.status == 78 && doctor.output.contains("MEND sessions: session spring cannot start"), "\(doctor)")
        #expect(try world.succeed("server", "sessions", "--home", "S").output.contains("'rouns'"))
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.write("rounds: 2\n", to: "\(folder)/plan.yaml")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "running")
        #expect(try world.session("spring")["waiting_reason"] == .null)
    }

    /// Whoever wrote it is there now.
    @Test func aWrongPlanIsSaidWhileHospitalsAreWaitedFor() throws {
        let world = try requested(["a"], plan: "rouns: 2\n")
        try world.shell("mv S/requests/pending/*.tar \(folder)/")
        let told = try world.serve().output
        #expect(told.contains("it has 1 of the 2 clients") && told.contains("cannot start: "), "\(told)")
        let (list, idle, doctor) = try reasons(world)
        for text in [list, idle, doctor.output] { #expect(text.contains("it has 1 of the 2 clients"), "\(text)") }
    }

    @Test func minimumClientsHoldsForASessionThatWaits() throws {
        let world = try requested(["a"])
        try world.shell("mv S/requests/pending/*.tar \(folder)/")
        try world.serve()
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.output.contains("ok   sessions: session spring waits: it has 1 of the 2"), "\(doctor)")
        try world.configure("S", "minimum_clients: 1")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "running")
    }

    @Test(arguments: ["plan.yml", "Plan.yaml", "plan.yaml.txt"])
    func anotherNameOfThePlanIsAsked(file: String) throws {
        let world = try requested(["a", "b"], plan: "rounds: 2\n", file: file)
        let told = try world.serve().output
        #expect(told.contains("\(file) is not read: did you mean plan.yaml?"), "\(told)")
        try world.write("rounds: 2\n", to: "S/requests/approved/plan.yaml")
        let misplaced = try world.serve().output
        #expect(misplaced.contains("approved/NAME/plan.yaml"), "\(misplaced)")
    }

    @Test func aPlanThatChangesAfterTheStartIsSaidOnce() throws {
        let world = try requested(["a", "b"], plan: "rounds: 2\nbatch_size: 4\n")
        try world.approveAll("spring")
        #expect(try world.session("spring")["state"].text == "running")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        // Another comment is no other plan.
        try world.write("# by Dr. A\nrounds: 2\nbatch_size: 4\n", to: "\(folder)/plan.yaml")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        for plan in ["rounds: 3\nbatch_size: 4\n", "rouns: 3\n"] {
            try world.write(plan, to: "\(folder)/plan.yaml")
            let told = try world.succeed("server", "run", "--home", "S")
            #expect(told.output.contains("session spring trains by the plan that it began with"), "\(told)")
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
        // Nor does one that cannot be read keep the session from going on.
        try world.shell("cd \(folder) && rm plan.yaml && mkdir plan.yaml")
        #expect(try world.succeed("server", "run", "--home", "S").output.contains("plan.yaml"))
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        for home in ["a", "b"] {
            try world.visit(home)
            try world.succeed("client", "plans", "--approve", "1", "--home", home)
        }
        for _ in 1...2 { try world.journey(["a", "b"]) }
        #expect(try world.session("spring")["state"].text == "finished")
    }
}
