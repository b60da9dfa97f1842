import Testing
import Wire

/// A whole federation in one command.
@Suite struct SimulateTests {
    private func phantoms() throws -> World {
        let world = try World.empty()
        try world.succeed("data", "synthesize", "phantoms", "--per-class", "12", "--size", "32", "--seed", "1")
        return world
    }

    @Test func aSimulationReportsEveryRound() throws {
        let world = try phantoms()
        let report = try world.json(
            "simulate", "phantoms", "--clients", "2", "--rounds", "2", "--size", "32", "--batch-size", "8",
            "--local-epochs", "1")
        #expect(report["schema_version"].integer == 1)
        #expect(report["rounds"].items.count == 2)
        // Before the first round, and after each.
        #expect(report["test"].items.count == 3)
        #expect(report["version"].integer == 1)
        #expect(report["parts"].items.compactMap { $0["name"].text } == ["client-1", "client-2", "test"])
        #expect(report["final_accuracy"] == report["test"][2]["accuracy"])
        #expect(world.names("") == ["phantoms"], "the temporary folder is gone, and nothing else was made")
    }

    /// All pictures in one place, by the way of bundles.
    @Test func aSingleHospitalIsAFederationToo() throws {
        let world = try phantoms()
        let report = try world.json(
            "simulate", "phantoms", "--clients", "1", "--rounds", "1", "--size", "32", "--batch-size", "8",
            "--local-epochs", "1")
        #expect(report["rounds"].items.count == 1)
        #expect(report["parts"].items.compactMap { $0["name"].text } == ["client-1", "test"])
    }

    /// What is kept are real homes, in which the other commands work; the same seed gives the same model.
    @Test func whatIsKeptAreRealHomesAndTheSeedFixesTheModel() throws {
        let world = try phantoms()
        let options = ["--clients", "2", "--rounds", "1", "--size", "32", "--batch-size", "8", "--local-epochs", "1"]
        var digests: Set<String> = []
        for folder in ["one", "two"] {
            let outcome = try world.run(["simulate", "phantoms", "--keep", folder] + options)
            #expect(outcome.status == 0, "\(outcome)")
            let server = try #require(
                world.names(folder).first { world.exists("\(folder)/\($0)/versions") }, "\(world.names(folder))")
            let versions = try world.json("server", "versions", "--home", "\(folder)/\(server)")["versions"].items
            digests.insert(try #require(versions.last?["model"].text))
        }
        #expect(digests.count == 1)
        let again = try world.run(["simulate", "phantoms", "--keep", "one"] + options)
        #expect(again.status == 73)
        #expect(again.errors.contains("is there already"))
    }

    /// The test pictures are seen as the plan says, cropped or not: the report's last score is that of 'evaluate' on what was kept.
    @Test(arguments: ["none", "head"]) func theReportAgreesWithEvaluate(crop: String) throws {
        let world = try phantoms()
        try world.write("crop: \(crop)\nbatch_size: 8\nlocal_epochs: 1\nrounds: 1\n", to: "plan.yaml")
        let report = try world.json(
            "simulate", "phantoms", "--clients", "2", "--size", "32", "--plan", "plan.yaml", "--keep", "kept")
        let evaluated = try world.json("evaluate", "--home", "kept/server", "kept/pictures/test")
        #expect(report["test"].items.count == 2)
        #expect(report["test"][1]["loss"] == evaluated["loss"])
    }

    @Test(arguments: [
        ("rouds: 3\n", "did you mean 'rounds'"), ("- rounds\n", "must be an object"), ("mu: [", "my.yaml"),
        ("rounds: 0\n", "my.yaml: "),
    ])
    func aPlanThatIsNoneIsRefusedBeforeAnythingIsDone(text: String, words: String) throws {
        let world = try phantoms()
        try world.write(text, to: "my.yaml")
        let outcome = try world.run("simulate", "phantoms", "--plan", "my.yaml", "--keep", "kept")
        #expect((64...78).contains(outcome.status) && outcome.status != 70, "\(outcome)")
        #expect(!world.exists("kept"))
        #expect(outcome.errors.contains(words), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }
}
