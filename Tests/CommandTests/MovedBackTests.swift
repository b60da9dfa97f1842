import Testing

/// What was decided stays decided: a file that is moved back to `pending/` is said and taken away from there.
@Suite struct MovedBackTests {
    @Test func anEnrolmentThatIsMovedBackIsSaid() throws {
        let world = try World.enrolled()
        try world.shell("mv S/enrolments/approved/*hospital-b.tar S/enrolments/pending/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(
            told.output.contains("was approved before, so its file was moved out of pending/ to approved/"), "\(told)")
        #expect(told.output.contains("to take hospital-b out, move it to rejected/"), "\(told)")
        #expect(world.names("S/enrolments/pending").isEmpty && world.names("S/enrolments/approved").count == 3)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)

        try world.shell("mv S/enrolments/approved/*hospital-b.tar S/enrolments/rejected/")
        try world.serve()
        try world.shell("mv S/enrolments/rejected/*hospital-b.tar S/enrolments/pending/")
        let rejected = try world.succeed("server", "run", "--home", "S")
        #expect(rejected.output.contains("was rejected before"), "\(rejected)")
        #expect(rejected.output.contains("to enrol hospital-b, move it to approved/"), "\(rejected)")
        #expect(world.names("S/enrolments/rejected").count == 1)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }
}
