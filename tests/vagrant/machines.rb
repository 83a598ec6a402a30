# What the Vagrantfile says, read without Vagrant: its own vocabulary, written down by objects that take any word.
# Run by tests/vagrant/check, from the top of the repository.

require "fileutils"
require "tmpdir"

# Takes every setting and every call, and remembers them. Blocks are called with what they would be given.
class Notes
  attr_reader :calls

  def initialize
    @calls = []
    @inner = Hash.new { |inner, word| inner[word] = Notes.new }
  end

  def method_missing(word, *args, **options, &block)
    name = word.to_s
    if name.end_with?("=")
      @calls << [name.chomp("=").to_sym, args, {}]
      return args.first
    end
    return @inner[word] if args.empty? && options.empty? && block.nil?

    inner = Notes.new
    # A trigger's `ruby` block is for later; all others describe something.
    word == :ruby ? @calls << [word, args, { block: block }] : @calls << [word, args, options.merge(inner: inner)]
    block&.call(inner) unless word == :ruby
  end

  def respond_to_missing?(*) = true

  # The last value given to a setting.
  def value(name) = all(name).last&.dig(1, 0)

  def all(name) = @calls.select { |call| call[0] == name }
end

module Vagrant
  def self.configure(version)
    raise "configuration version #{version}" unless version == "2"

    $config = Notes.new
    yield $config
  end
end

SETTINGS = %w[NODES ZONES BUILD PEERS WAY SKEW QUORATE_BIN QUORATE_BOX QUORATE_BOX_URL QUORATE_MEMORY QUORATE_CPUS
              QUORATE_HTTP_PORT VAGRANT_DOTFILE_PATH VAGRANT_NO_PARALLEL].freeze

# The machines that the Vagrantfile defines when the environment says so: name => notes.
def machines(**environment)
  SETTINGS.each { |name| ENV.delete(name) }
  ENV["VAGRANT_DOTFILE_PATH"] = $state
  environment.each { |name, value| ENV[name.to_s] = value.to_s }
  load File.join(Dir.pwd, "Vagrantfile")
  $config.vm.all(:define).to_h { |_, args, options| [args.first.to_s, options[:inner]] }
end

def provisioners(machine)
  machine.vm.all(:provision).to_h { |_, args, options| [args.first, options] }
end

def networks(machine, kind)
  machine.vm.all(:network).select { |_, args, _| args.first == kind }.map { |_, _, options| options }
end

def triggers(machine, moment, command)
  machine.trigger.all(moment).select { |_, args, _| args.include?(command) }.map { |_, _, options| options[:inner] }
end

def environment_of(machine) = provisioners(machine).fetch("quorate").fetch(:env)

def check(what)
  raise what unless yield

  puts "ok    #{what}"
end

def refused(**environment)
  machines(**environment)
  false
rescue StandardError => e
  e.message.include?(environment.keys.first.to_s)
end

CHAOS = %w[kill down pause resume partition skew wipe heal].freeze

Dir.mktmpdir("quorate-machines") do |state|
  $state = state
  founded = File.join(state, "quorate", "founded")

  [3, 5, 9].each do |n|
    found = machines(NODES: n)
    check("NODES=#{n}: so many machines, named n1 to n#{n}") { found.keys == (1..n).map { |i| "n#{i}" } }
    addresses = found.values.map { |m| networks(m, "private_network").map { |o| o[:ip] } }
    check("NODES=#{n}: each one address, 192.168.56.11 and on") { addresses == (1..n).map { |i| ["192.168.56.#{10 + i}"] } }
    zones = found.values.map { |m| environment_of(m)["ZONE"] }
    check("NODES=#{n}: zones alternate") { zones == %w[a b].cycle.first(n) }
    members = (1..n).map { |i| "n#{i}=192.168.56.#{10 + i}" }.join(",")
    check("NODES=#{n}: every machine knows all members") { found.values.all? { |m| environment_of(m)["MEMBERS"] == members } }
    check("NODES=#{n}: each is told its own name") { found.all? { |name, m| environment_of(m)["NODE"] == name && m.vm.value(:hostname) == name } }
  end

  found = machines
  check("five machines unless NODES says otherwise") { found.size == 5 }
  check("ZONES=3: three zones in turn") { machines(NODES: 6, ZONES: 3).values.map { |m| environment_of(m)["ZONE"] } == %w[a b c a b c] }
  check("what is wrong is refused, by name") do
    refused(NODES: 2) && refused(NODES: "five") && refused(NODES: 51) && refused(ZONES: 0) && refused(QUORATE_MEMORY: "1G") && refused(QUORATE_HTTP_PORT: 80)
  end

  found = machines
  ports = found.transform_values { |m| networks(m, "forwarded_port") }
  check("n1's HTTP is forwarded, to the host's loopback only") do
    http = ports["n1"].first
    ports["n1"].size == 1 && http[:guest] == 8611 && http[:host] == 7611 && http[:host_ip] == "127.0.0.1"
  end
  check("nobody else's is") { ports.except("n1").values.all?(&:empty?) }
  check("the guest's port is the one that the socket unit listens on") { File.read("configs/vagrant/quorate-http.socket").include?("ListenStream=0.0.0.0:8611\n") }
  check("QUORATE_HTTP_PORT moves it") { networks(machines(QUORATE_HTTP_PORT: 8080)["n1"], "forwarded_port").first[:host] == 8080 }

  found = machines(PEERS: "n1,n2", WAY: "in", SKEW: "-90")
  check("chaos is never run unasked, on every machine") do
    found.values.all? { |m| provisioners(m).select { |_, o| o[:run] == "never" }.keys.sort == CHAOS.sort }
  end
  check("chaos is given PEERS, WAY and SKEW") do
    found.values.all? { |m| CHAOS.all? { |a| provisioners(m)[a][:env] == { "PEERS" => "n1,n2", "WAY" => "in", "SKEW" => "-90" } } }
  end
  script = File.read("configs/vagrant/chaos")
  check("the script knows every action") { CHAOS.all? { |action| script =~ /^    #{action}\)/ && provisioners(found["n1"])[action][:inline] == "quorate-chaos #{action}" } }
  check("otherwise there is an upload, and then the provisioning") do
    found.values.all? { |m| provisioners(m).reject { |_, o| o[:run] == "never" }.map { |name, o| [name, o[:type]] } == [%w[upload file], %w[quorate shell]] }
  end
  check("what is uploaded and run is there") do
    found.values.all? { |m| File.directory?(provisioners(m)["upload"][:source]) && File.executable?(provisioners(m)["quorate"][:path]) }
  end

  check("n1 founds, and nobody else") { machines.transform_values { |m| environment_of(m)["FOUND"] }.values == %w[1 0 0 0 0] }
  FileUtils.touch(founded)
  check("and not once the host knows of a cluster") { machines.values.all? { |m| environment_of(m)["FOUND"] == "0" } }

  found = machines
  leave = triggers(found["n2"], :after, :destroy).first.all(:ruby).first[2][:block]
  FileUtils.mkdir_p(File.join(state, "machines", "n3", "libvirt"))
  FileUtils.touch(File.join(state, "machines", "n3", "libvirt", "id"))
  leave.call(nil, nil)
  check("a machine that is destroyed leaves the cluster to the others") { File.exist?(founded) }
  FileUtils.rm(File.join(state, "machines", "n3", "libvirt", "id"))
  leave.call(nil, nil)
  check("and the last one takes it along") { !File.exist?(founded) }

  # What the machine says when it is asked whether it founded.
  answer = Struct.new(:founded) do
    def communicate = self
    def test(_command) = founded
  end
  done = triggers(found["n1"], :after, :up).first.all(:ruby).first[2][:block]
  done.call(nil, answer.new(false))
  check("an n1 that was not provisioned has founded nothing") { !File.exist?(founded) }
  done.call(nil, answer.new(true))
  check("one that was, has") { File.exist?(founded) }

  program = File.join(state, "program")
  File.write(program, "new")
  upload = File.join(state, "quorate", "upload")
  staging = ->(found, name) { triggers(found[name], :before, :up).first.all(:ruby).first[2][:block].call(nil, nil) }
  staging.call(machines(QUORATE_BIN: program), "n2")
  check("QUORATE_BIN is what the machines get, with the unit and the chaos actions") do
    File.read(File.join(upload, "quorate")) == "new" &&
      Dir.children(upload).sort == %w[chaos quorate quorate-http.service quorate-http.socket quorate.service] &&
      FileUtils.identical?("configs/quorate.service", File.join(upload, "quorate.service"))
  end
  found = machines(QUORATE_BIN: "/nowhere/quorate")
  check("a QUORATE_BIN that is not there is refused, when it is wanted and not before") do
    staging.call(found, "n2")
    false
  rescue RuntimeError => e
    e.message.include?("/nowhere/quorate")
  end

  found = machines(BUILD: 1)
  check("BUILD=1: n1 builds before it is provisioned, and nobody else does") do
    provisioners(found["n1"]).reject { |_, o| o[:run] == "never" }.keys == %w[upload source build quorate] &&
      found.except("n1").values.none? { |m| provisioners(m).key?("build") }
  end
  check("BUILD=1: one after the other") { ENV["VAGRANT_NO_PARALLEL"] == "yes" }
  staging.call(found, "n1")
  listed = IO.popen(["tar", "-tf", File.join(state, "quorate", "source", "quorate.tar")], &:readlines).map(&:chomp)
  check("BUILD=1: the sources are what cargo wants") { (%w[Cargo.toml Cargo.lock src/main.rs] - listed).empty? && listed.none? { |f| f.start_with?("target") } }

  check("the box comes from the environment") do
    machines(QUORATE_BOX: "mine", QUORATE_BOX_URL: "file:///boxes/mine.box")
    $config.vm.value(:box) == "mine" && $config.vm.value(:box_url) == "file:///boxes/mine.box"
  end
  machines
  check("and without one there is a name and no address") { $config.vm.value(:box) == "debian/bookworm64" && $config.vm.all(:box_url).empty? }
  providers = $config.vm.all(:provider).to_h { |_, args, options| [args.first, options[:inner]] }
  check("VirtualBox clones are linked, and libvirt is known too") { providers.fetch(:virtualbox).value(:linked_clone) == true && providers.key?(:libvirt) }
  check("nothing of the host is shared") do
    shared = $config.vm.all(:synced_folder)
    shared.any? { |_, args, _| args == [".", "/vagrant"] } && shared.all? { |_, _, options| options[:disabled] }
  end
end
