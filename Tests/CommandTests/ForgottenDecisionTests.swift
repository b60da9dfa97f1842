import Testing
import Wire

/// A server that is restored from a backup of before an approval does not know what was approved, and nothing that was
/// acknowledged comes again by itself.
@Suite struct ForgottenDecisionTests {
    private let cure = "'consilium key rotate'"

    @Test func aForgottenRotationIsNamedAndMended() throws {
        let world = try World.enrolled()
        world.advance(days: 1)
        try world.succeed("key", "rotate", "--home", "a")
        try world.shell("cp -a S backup")
        try approve("a", in: world)
        try world.succeed("doctor", "--home", "S")
        try world.startSession("spring", ["b", "c"])
        try world.visit("b")
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        // Whoever is known here still shows that numbers were used.
        try world.answer("b")
        try world.serve()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.answer("a")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.output.contains("is not enrolled here") && told.output.contains(cure), "\(told)")
        let doctor = try world.run("doctor", "--home", "S")
        let line = doctor.output.split(separator: "\n").first { $0.hasPrefix("MEND unknown keys: ") }
        #expect(doctor.status == 78 && line?.contains("hospital-a") == true, "\(doctor)")
        #expect(doctor.output.contains(cure), "\(doctor)")
        // What it says helps.
        try world.succeed("key", "rotate", "--home", "a")
        try approve("a", in: world)
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.answer("a")
        try world.serve()
        #expect(world.names("S/requests/pending").contains { $0.contains("hospital-a") })
    }

    @Test func aForgottenEnrolmentIsNamed() throws {
        let world = try World.initialised()
        try world.shell("cp -a S backup")
        try world.enrol()
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.answer("a")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.output.contains("hospital-a") && told.output.contains(cure), "\(told)")
        #expect(try world.run("doctor", "--home", "S").output.contains("MEND unknown keys: "))
    }

    /// A key that was revoked since the backup is believed again: nobody but the people there knows.
    @Test func aRestoredServerSaysWhatToRepeat() throws {
        let world = try World.enrolled()
        try world.shell("cp -a S backup")
        try world.startSession()
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        try world.answer("a")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.output.contains("restored from a backup"), "\(told)")
        #expect(told.output.contains("repeat revocations first, then approvals"), "\(told)")
    }

    /// While its enrolment waits on the desk there is nothing to ask for.
    @Test func aKeyWhoseEnrolmentWaitsAsksForNothingElse() throws {
        let world = try World.initialised()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.answer("a")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.output.contains("is not enrolled here") && !told.output.contains(cure), "\(told)")
        try world.succeed("doctor", "--home", "S")
    }

    private func approve(_ home: String, in world: World) throws {
        try world.answer(home)
        try world.serve()
        try world.shell("mv S/enrolments/pending/*hospital-\(home)* S/enrolments/approved/")
        try world.serve()
        for _ in 0..<2 {
            try world.visit(home)
            try world.answer(home)
            try world.serve()
        }
    }
}
